import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WorkflowInvalidError, type WorkflowProblem } from "../../../src/errors.ts";
import { MAX_DEFINITION_CHARS, MAX_STEPS } from "../../../src/workflow/definition/limits.ts";
import { defineWorkflow, parseWorkflow } from "../../../src/workflow/definition/parse.ts";

async function problems(text: string): Promise<readonly WorkflowProblem[]> {
  try {
    await parseWorkflow(text, "w.yaml");
  } catch (error) {
    if (error instanceof WorkflowInvalidError) return error.problems;
    throw error;
  }
  return [];
}

/** What is wrong, where: a text, the code, line and column of its first problem, and what its message or hint says. */
const WRONG: readonly (readonly [name: string, text: string, code: string, at: string, says: RegExp])[] = [
  ["text that is no YAML", "name: w\nsteps: [", "syntax", "2:9", /sequence/],
  ["a key that is there twice", "name: w\nname: v\nsteps: []", "syntax", "2:1", /unique/i],
  ["no steps", "name: w\nsteps: []", "schema", "2:8", />=1|small/i],
  [
    "a member that does not exist",
    "name: w\nsteps:\n  - id: a\n    tsak: echo",
    "schema",
    "4:11",
    /no such member/,
  ],
  [
    "a value of the wrong type",
    "name: w\nsteps:\n  - id: a\n    task: 5",
    "schema",
    "4:11",
    /expected string/,
  ],
  [
    "a duration that is none",
    "name: w\nsteps:\n  - {id: a, task: t, timeout: 5 years}",
    "schema",
    "3:31",
    /such as 500ms/,
  ],
  ["neither task nor approval", "name: w\nsteps:\n  - id: a", "schema", "3:5", /either 'task' or 'approval'/],
  ["both", "name: w\nsteps:\n  - {id: a, task: t, approval: ok}", "schema", "3:32", /not both/],
  [
    "an approval with a payload",
    "name: w\nsteps:\n  - {id: a, approval: ok, payload: {}}",
    "schema",
    "3:36",
    /has no 'payload'/,
  ],
  [
    "width without a list",
    "name: w\nsteps:\n  - {id: a, task: t, width: 2}",
    "schema",
    "3:29",
    /goes with 'for_each'/,
  ],
  [
    "an id twice",
    "name: w\nsteps:\n  - {id: a, task: t}\n  - {id: a, task: t}",
    "duplicate-id",
    "4:10",
    /step 1/,
  ],
  [
    "an unknown dependency",
    "name: w\nsteps:\n  - {id: a, task: t, depends_on: [b]}",
    "unknown-reference",
    "3:35",
    /'b'/,
  ],
  [
    "a reference to an unknown step",
    "name: w\nsteps:\n  - id: a\n    task: t\n    payload:\n      list:\n        - x: ${{ steps.b.result }}",
    "unknown-reference",
    "7:14",
    /no step 'b'/,
  ],
  [
    "a reference to an unknown input",
    "name: w\nsteps:\n  - {id: a, task: t, when: inputs.x}",
    "unknown-reference",
    "3:28",
    /'x'/,
  ],
  [
    "a reference to what steps do not have",
    "name: w\nsteps: [{id: a, task: t}]\noutput: ${{ steps.a.reslut }}",
    "unknown-reference",
    "3:9",
    /\.result, \.state, \.error/,
  ],
  [
    "item without a list",
    "name: w\nsteps:\n  - {id: a, task: t, when: item > 1}",
    "unknown-reference",
    "3:28",
    /for_each/,
  ],
  [
    "an expression that cannot be read",
    "name: w\nsteps:\n  - {id: a, task: t, when: 1 +}",
    "expression",
    "3:28",
    /cannot be read/,
  ],
  [
    "a reference without an end",
    "name: w\nsteps: [{id: a, task: t}]\noutput: '${{ steps.a'",
    "expression",
    "3:9",
    /\}\}/,
  ],
  [
    "a function that does not exist",
    "name: w\nsteps:\n  - {id: a, task: t, when: eval('1')}",
    "expression",
    "3:28",
    /no function/,
  ],
  [
    "a cycle",
    "name: w\nsteps:\n  - {id: a, task: t}\n  - {id: b, task: t, depends_on: [a, d]}\n  - {id: c, task: t, payload: {x: '${{ steps.b.result }}'}}\n  - {id: d, task: t, depends_on: [c]}",
    "cycle",
    "4:5",
    /b → d → c → b/,
  ],
  [
    "a step that waits for itself",
    "name: w\nsteps:\n  - {id: a, task: t, depends_on: [a]}",
    "cycle",
    "3:5",
    /a → a/,
  ],
  [
    "an orphan",
    "name: w\nsteps:\n  - {id: a, task: t}\n  - {id: b, task: t, depends_on: [a]}\n  - {id: c, task: t}",
    "orphan",
    "5:5",
    /connected to no other step/,
  ],
  [
    "too many steps",
    `name: w\nsteps:\n${Array.from({ length: MAX_STEPS + 1 }, (_, i) => `  - {id: s${i}, task: t}`).join("\n")}`,
    "limit",
    "3:3",
    /500/,
  ],
  ["too long a file", " ".repeat(MAX_DEFINITION_CHARS + 1), "limit", "-:-", /characters/],
  [
    "aliases that multiply",
    `a: &a [1,2,3,4,5,6,7,8,9]\n${["b", "c", "d", "e"].map((name, i) => `${name}: &${name} [${`*${"abcd"[i] ?? "a"},`.repeat(9)}]`).join("\n")}\nname: *e`,
    "limit",
    "-:-",
    /alias/i,
  ],
];

describe("a workflow file", () => {
  for (const [name, text, code, at, says] of WRONG) {
    it(`is refused with line and column for ${name}`, async () => {
      const [first] = await problems(text);
      assert.ok(first);
      const place = `${first.line ?? "-"}:${first.column ?? "-"}`;
      assert.deepEqual([first.code, place], [code, at], first.message);
      assert.match(`${first.message} ${first.hint ?? ""}`, says);
    });
  }

  it("tells all that is wrong at once, one line each, as compilers do", async () => {
    const text =
      "name: w\nsteps:\n  - {id: a, task: t, depends_on: [x]}\n  - {id: b, task: t, depends_on: [y]}";
    await assert.rejects(parseWorkflow(text, "w.yaml"), {
      code: "E_WORKFLOW_INVALID",
      message:
        "w.yaml:3:35: unknown-reference: steps[0].depends_on[0]: there is no step 'x'\n" +
        "w.yaml:4:35: unknown-reference: steps[1].depends_on[0]: there is no step 'y'",
    });
  });

  it("means the same in YAML, JSON and code", async () => {
    const workflow = {
      name: "w",
      tags: ["p2p-only"],
      steps: [{ id: "a", task: "t", timeout: "2m", payload: { n: 1 } }],
    };
    const json = await parseWorkflow(JSON.stringify(workflow, null, "\t"));
    const yaml = await parseWorkflow(
      "name: w\ntags: [p2p-only]\nsteps:\n- id: a\n  task: t\n  timeout: 2m\n  payload: {n: 1}",
    );
    assert.deepEqual(json, yaml);
    assert.deepEqual(defineWorkflow(workflow), yaml);
    assert.equal(yaml.steps[0]?.timeout, 120_000);
  });

  it("may have steps that are connected to nothing, if it says so or none is connected", async () => {
    const alone =
      "name: w\nsteps:\n  - {id: a, task: t}\n  - {id: b, task: t, depends_on: [a]}\n  - {id: c, task: t, alone: true}";
    assert.deepEqual(await problems(alone), []);
    assert.deepEqual(await problems("name: w\nsteps:\n  - {id: a, task: t}\n  - {id: b, task: t}"), []);
  });
});
