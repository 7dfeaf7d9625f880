import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { canonicalJson } from "../../../src/content/canonical-json.ts";
import { readWorkflow } from "../../../src/workflow/definition/parse.ts";
import type { Workflow } from "../../../src/workflow/definition/workflow.ts";
import { attemptsOf } from "../../../src/workflow/run/attempts.ts";
import { decideAll, nextDecision } from "../../../src/workflow/run/decide.ts";
import {
  type Fact,
  isDecision,
  type RunEvent,
  type RunHappening,
  runEventSchema,
} from "../../../src/workflow/run/events.ts";
import { replay } from "../../../src/workflow/run/replay.ts";
import { Run } from "../../../src/workflow/run/state.ts";

/** Conducts a run without a world: `choose` says which fact comes next. @returns its log and how it ended */
function play(
  workflow: Workflow,
  choose: (facts: readonly Fact[], turn: number) => number,
  fails: (name: string) => boolean,
): { readonly run: Run; readonly log: readonly RunEvent[] } {
  const run = new Run("r", workflow, {});
  const log: RunEvent[] = [];
  const add = (happening: RunHappening, taken: boolean): void => {
    const atMs = 1000 + log.length;
    if (!taken) run.apply(happening, atMs);
    log.push({ ...happening, seq: log.length + 1, atMs });
  };
  add({ kind: "started", workflow, inputs: {}, by: "t" }, false);
  for (let turn = 0; run.state === "running"; turn++) {
    for (const decision of decideAll(run, 1000 + log.length, 1000)) add(decision, true);
    const facts = possible(run, fails);
    const fact = facts[choose(facts, turn)];
    if (fact) add(fact, false);
    else if (run.state === "running") throw new Error(`stuck: ${JSON.stringify([...run.steps.values()])}`);
  }
  return { run, log };
}

/** All that may happen next. */
function possible(run: Run, fails: (name: string) => boolean): readonly Fact[] {
  return [...attemptsOf(run)].flatMap(({ key, unit }): readonly Fact[] => {
    const name = `${key.step}:${key.item ?? 0}:${key.attempt}`;
    if (unit.phase === "submitting") return [{ kind: "submitted", ...key, taskId: name }];
    if (unit.phase !== "running" && unit.phase !== "stopping") return [];
    const error = { code: "E_TEST", message: name, failureClass: "internal" };
    const ended: Fact = fails(name)
      ? { kind: "finished", ...key, outcome: { state: "failed", error } }
      : { kind: "finished", ...key, outcome: { state: "completed", result: { of: name, list: [1, 2, 3] } } };
    return [ended];
  });
}

const DIAMOND = readWorkflow({
  name: "diamond",
  steps: [
    { id: "a", task: "t", retries: 1 },
    {
      id: "b",
      task: "t",
      depends_on: ["a"],
      for_each: "steps.a.result.list",
      width: 2,
      retries: 1,
      payload: { x: "${{ item }}" },
    },
    { id: "c", task: "t", payload: { y: "${{ steps.a.result.of }}" }, allow_failure: true },
    { id: "d", task: "t", depends_on: ["b", "c"], payload: { all: "${{ steps.b.result }}" } },
    { id: "e", task: "t", depends_on: ["b", "c"], after: "failed" },
    {
      id: "f",
      task: "t",
      depends_on: ["d", "e"],
      after: "ended",
      when: "steps.d.state == 'completed' || steps.e.state != 'failed'",
    },
  ],
  output: { d: "${{ steps.d.result }}" },
});

function ending({ steps, state, output, error }: Run): unknown {
  const all = [...steps].map(([id, step]) => [
    id,
    step.state,
    step.result ?? null,
    step.error ?? null,
    step.why ?? null,
  ]);
  return { state, output: output ?? null, error: error ?? null, all };
}

/** The same outcome for the same attempt, whenever it ends. */
function failing(salt: number, of10: number): (name: string) => boolean {
  return (name) => {
    let hash = salt;
    for (const letter of name) hash = (Math.imul(hash, 31) + letter.charCodeAt(0)) >>> 0;
    return hash % 10 < of10;
  };
}

describe("decisions of a run", () => {
  it("lead to the same end in whatever order its tasks end, and replay bit for bit", () => {
    const ends = new Set<string>();
    fc.assert(
      fc.property(
        fc.array(fc.nat(), { maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        (order, salt, of10) => {
          const fails = failing(salt, of10);
          const straight = play(DIAMOND, () => 0, fails);
          const shuffled = play(
            DIAMOND,
            (facts, turn) => (order[turn] ?? 0) % Math.max(1, facts.length),
            fails,
          );
          const end = canonicalJson(ending(straight.run));
          assert.equal(canonicalJson(ending(shuffled.run)), end);
          ends.add(straight.run.state);
          const log = shuffled.log.map((event) => runEventSchema.parse(JSON.parse(JSON.stringify(event))));
          assert.deepEqual(replay("r", log), {
            runId: "r",
            identical: true,
            events: log.length,
            decisions: log.filter(isDecision).length,
          });
        },
      ),
      { numRuns: 300 },
    );
    assert.deepEqual([...ends].toSorted(), ["completed", "failed"]);
  });

  it("are compared by a replay: a log in which one was changed is told from the first difference on", () => {
    const { log } = play(
      DIAMOND,
      () => 0,
      () => false,
    );
    for (const [index, event] of log.entries()) {
      if (event.kind !== "submit") continue;
      const forged = log.with(index, { ...event, digest: "0" });
      const { identical, divergence } = replay("r", forged);
      assert.deepEqual([identical, divergence?.seq], [false, event.seq]);
    }
    const skipped = replay(
      "r",
      log.filter(({ kind }) => kind !== "expand"),
    );
    assert.equal(skipped.identical, false);
  });

  it("never have more of a step under way than its width, whatever fails", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 60 }), fc.nat(), (order, salt) => {
        const workflow = readWorkflow({
          name: "wide",
          steps: [
            { id: "b", task: "t", for_each: Array.from({ length: 12 }, (_, i) => i), width: 3, retries: 2 },
          ],
        });
        let most = 0;
        const choose = (facts: readonly Fact[], turn: number): number => {
          most = Math.max(most, facts.length);
          return (order[turn] ?? 0) % Math.max(1, facts.length);
        };
        const { run } = play(workflow, choose, failing(salt, 4));
        assert.equal(most, 3);
        assert.equal(nextDecision(run), undefined);
      }),
      { numRuns: 50 },
    );
  });
});
