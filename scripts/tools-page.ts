/** The reference page of the tools, made from their schemas. */
import * as z from "zod";
import { markdownTable } from "../src/cli/reference.ts";
import { allTools, type Tool } from "../src/tools/index.ts";

/** What the page needs of a JSON Schema of arguments. */
const argumentsSchema = z.object({
  properties: z.record(
    z.string(),
    z.looseObject({ description: z.string().optional(), default: z.unknown().optional() }),
  ),
  required: z.array(z.string()).default([]),
});

/** The page about all tools, in Markdown. */
export function toolsPage(): string {
  return [
    "# Tools",
    "<!-- Made by scripts/docs.ts from the tools' schemas; a test compares it. -->",
    "Every tool answers with an object that has `ok`. A failure has `ok: false`, `error` (text), `error_code` (stable), `failure_class`, `retryable` and sometimes `hint`, and is marked as a tool error. Times in arguments and rows are seconds, as in the system these names come from.",
    ...allTools.map(section),
  ]
    .join("\n\n")
    .concat("\n");
}

function section(tool: Tool): string {
  const { properties, required } = argumentsSchema.parse(z.toJSONSchema(tool.input, { io: "input" }));
  const rows = Object.entries(properties).map(([name, schema]) => {
    const need = required.includes(name) ? "required" : defaultText(schema.default);
    return [`\`${name}\``, typeText(schema), need, schema.description ?? ""];
  });
  const table = markdownTable(["Argument", "Type", "Default", "Meaning"], rows);
  return [`## ${tool.name}`, tool.description, ...(rows.length === 0 ? [] : [table])].join("\n\n");
}

function defaultText(value: unknown): string {
  return value === undefined ? "" : `\`${JSON.stringify(value)}\``;
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
