/** The reference page of workflow files and their JSON Schema, made from the schema that reads them. */
import * as z from "zod";
import { markdownTable } from "../src/cli/reference.ts";
import { FUNCTIONS } from "../src/workflow/definition/expression.ts";
import * as limits from "../src/workflow/definition/limits.ts";
import { workflowSchema } from "../src/workflow/definition/workflow.ts";

/** The JSON Schema of a workflow file, as text. */
export function workflowJsonSchema(): string {
  const schema = z.toJSONSchema(workflowSchema, { io: "input" });
  return `${JSON.stringify({ ...schema, title: "mcplusplus workflow" }, null, 2)}\n`;
}

/** What the page needs of the schema. */
const objectSchema = z.object({
  properties: z.record(z.string(), z.looseObject({ description: z.string().optional() })),
  required: z.array(z.string()).default([]),
});

/** What each function gives. */
const FUNCTION_TEXTS: Readonly<Record<string, string>> = {
  length: "Characters of a text, items of a list, or members of an object.",
  contains: "Whether a text has a part, or a list an item.",
  startsWith: "Whether a text begins so.",
  endsWith: "Whether a text ends so.",
  default: "The first argument; the second if the first has no value or is null.",
  join: "The items of a list as one text, with the second argument between them.",
  json: "The JSON text of a value.",
  range: "The list of whole numbers from 0 up to, not including, the argument.",
  flat: "A list whose items that are lists are replaced by their items.",
};

/** The page, in Markdown. */
export function workflowPage(): string {
  const root = z.toJSONSchema(workflowSchema, { io: "input" });
  const steps = z
    .object({ properties: z.looseObject({ steps: z.object({ items: z.unknown() }) }) })
    .parse(root);
  return `${[
    "# Workflow files",
    "<!-- Made by scripts/docs.ts from the schema of workflows; a test compares it. -->",
    "A workflow is YAML, JSON, or a value of `defineWorkflow` from `mcplusplus/workflow`; all three mean the same. `mcpp flow check <file>` tells what is wrong with file, line and column. Editors understand [workflow-file.schema.json](workflow-file.schema.json). An example: [word-count.yaml](../../examples/word-count.yaml).",
    "## A workflow",
    members(root),
    "## A step",
    "A step is a task (`task`) or a question to a person (`approval`). Durations are milliseconds as a number, or text such as `500ms`, `30s`, `5m`, `2h`, `7d`.",
    members(steps.properties.steps.items),
    "A step begins when all steps before it are over, in whatever order the file has them. With `after: completed`, which is the default, it is skipped if one of them failed or was skipped; a step that failed with `allow_failure` counts as completed. Steps that do not depend on a failed one go on; the run has failed once all are over.",
    "## References",
    "`${{ expression }}` in `payload`, `model`, `approval` and `output` stands for a value: alone in a text for the value itself, within other text for the value as text, or as JSON if it is none. `$${{` is `${{` as it is. `when` and `for_each` are expressions as a whole and need no `${{ }}`.",
    markdownTable(
      ["Reference", "Value"],
      [
        ["`inputs.<name>`", "An input of the run"],
        [
          "`steps.<id>.result`",
          "The result of a step that completed; a list in the order of the items after `for_each`",
        ],
        ["`steps.<id>.state`", "`completed`, `failed`, `skipped` or `cancelled`"],
        ["`steps.<id>.error`", "Null, or `code`, `message` and `failureClass`"],
        ["`item`, `index`", "The item of a `for_each`, and its number from 0"],
        ["`run.id`, `run.workflow`", "The run, and the name of its workflow"],
      ],
    ),
    "Members follow with `.name`, `['any name']` or `[number]`; `[-1]` is the last item. What has no value is an error of the step. A step that is referred to comes first, as if it stood in `depends_on`. The result of an approval has `approved`, `comment`, `by` and, if the answer had one, `value`.",
    "Expressions compare (`==`, `!=`; `<`, `<=`, `>`, `>=` for two numbers or two texts), combine true and false (`&&`, `||`, `!`), and have numbers, `'text'`, `true`, `false`, `null`, parentheses and these functions. They cannot calculate, and run no code.",
    markdownTable(
      ["Function", "Gives"],
      Object.entries(FUNCTIONS).map(([name, count]) => [
        `\`${name}(${["a", "b"].slice(0, count).join(", ")})\``,
        FUNCTION_TEXTS[name] ?? "",
      ]),
    ),
    "## Limits",
    markdownTable(["Limit", "Value"], limitRows()),
  ].join("\n\n")}\n`;
}

function members(schema: unknown): string {
  const { properties, required } = objectSchema.parse(schema);
  const rows = Object.entries(properties).map(([name, property]) => [
    `\`${name}\``,
    typeText(property),
    required.includes(name) ? "yes" : "",
    property.description ?? "",
  ]);
  return markdownTable(["Member", "Type", "Required", "Meaning"], rows);
}

function typeText(schema: Readonly<Record<string, unknown>>): string {
  const { type, anyOf, enum: values } = schema;
  if (Array.isArray(values)) return values.map((value) => `\`${String(value)}\``).join(", ");
  if (typeof type === "string") return type;
  if (!Array.isArray(anyOf)) return "any";
  return anyOf
    .map((option: unknown) => z.looseObject({ type: z.string().default("any") }).parse(option).type)
    .join(" or ");
}

function limitRows(): readonly (readonly string[])[] {
  return [
    ["Steps", limits.MAX_STEPS],
    ["Characters of a file", limits.MAX_DEFINITION_CHARS],
    ["Uses of aliases in a YAML file", limits.MAX_YAML_ALIASES],
    ["Bytes of the inputs of a run, as JSON", limits.MAX_INPUT_BYTES],
    ["Items of a `for_each`", limits.MAX_ITEMS],
    ["Bytes of the result of one task, as JSON", limits.MAX_STEP_RESULT_BYTES],
    ["Bytes of all results of a run, as JSON", limits.MAX_RUN_RESULT_BYTES],
    ["Bytes that references make of one payload", limits.MAX_RENDERED_BYTES],
  ].map(([name, value]) => [String(name), Number(value).toLocaleString("en-US")]);
}
