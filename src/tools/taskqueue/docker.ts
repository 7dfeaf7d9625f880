/**
 * What the two docker tools share: arguments of a container run, and the payload made of them (contract.md 3.7).
 *
 * The old tools took any further name as an argument. Each of those that its worker reads is declared here; the
 * rest goes into `options`.
 */
import * as z from "zod";
import { type JsonObject, jsonObject } from "../../content/json.ts";
import { nameField } from "./new-task.ts";

type Optional<S extends z.ZodType> = z.ZodOptional<z.ZodNullable<S>>;
type Text = Optional<z.ZodString>;
type Flag = Optional<z.ZodBoolean>;
type Words = Optional<z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]>>;

/** A setting that becomes text. */
type Plain = string | number | boolean | null;

const textMap: z.ZodType<Readonly<Record<string, Plain>>> = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.null()]),
);

/** An object of settings whose values become text, or nothing. */
export const textMapField: Optional<typeof textMap> = textMap.nullish();

const words = (description: string): Words =>
  z
    .union([z.string(), z.array(z.string())])
    .nullish()
    .describe(description);
const text = (description: string): Text => z.string().nullish().describe(description);
const flag = (description: string): Flag => z.boolean().nullish().describe(description);

/** Arguments of a container run that both tools have. */
export const runFields: {
  readonly command: Words;
  readonly entrypoint: Words;
  readonly environment: typeof textMapField;
  readonly memory_limit: Text;
  readonly cpu_limit: Optional<z.ZodNumber>;
  readonly timeout: Optional<z.ZodNumber>;
  readonly network_mode: Text;
  readonly working_dir: Text;
  readonly read_only: Flag;
  readonly no_new_privileges: Flag;
  readonly user: Text;
  readonly stream_output: Flag;
  readonly gpus: Optional<z.ZodUnion<readonly [z.ZodString, z.ZodBoolean, z.ZodNumber]>>;
  readonly model_name: z.ZodDefault<z.ZodString>;
  readonly task_type: z.ZodOptional<z.ZodString>;
  readonly options: Optional<typeof jsonObject>;
} = {
  command: words("Command: one string, or a list of words"),
  entrypoint: words("Entry point: one string, or a list of words"),
  environment: textMapField.describe("Environment variables"),
  memory_limit: text("E.g. 512m or 2g"),
  cpu_limit: z.number().positive().nullish().describe("How many CPUs, e.g. 1.5"),
  timeout: z.number().positive().nullish().describe("How long the container may run, in seconds"),
  network_mode: text("none (default), bridge, …"),
  working_dir: text("Working directory inside the container"),
  read_only: flag("Mount the container's root read-only"),
  no_new_privileges: flag("Forbid gaining privileges; on by default"),
  user: text("User to run as, e.g. 1000:1000"),
  stream_output: flag("Log output lines while the container runs"),
  gpus: z.union([z.string(), z.boolean(), z.number()]).nullish().describe("GPUs to give; true means all"),
  model_name: nameField.default("docker").describe("Model name of the task"),
  task_type: nameField.min(1).optional().describe("Task type to use instead of the usual one"),
  options: jsonObject.nullish().describe("Further members of the task's payload"),
};

/** Arguments that are not part of the payload. */
const ASIDE = new Set([
  "remote_multiaddr",
  "remote_peer_id",
  "peer_id",
  "timeout_s",
  "model_name",
  "task_type",
  "options",
]);

/** The payload made of the arguments: what is null or absent is left out, maps become text, lists lose empty words. */
export function dockerPayload(
  input: JsonObject & { readonly options?: JsonObject | null | undefined },
): JsonObject {
  const payload: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(input)) {
    if (!ASIDE.has(name) && value !== null && value !== undefined) payload[name] = asPayload(name, value);
  }
  for (const [name, value] of Object.entries(input.options ?? {})) {
    if (value !== null && !(name in payload)) payload[name] = value;
  }
  return payload;
}

const TEXT_MAPS = new Set(["environment", "volumes", "build_args"]);

function asPayload(name: string, value: unknown): unknown {
  if (TEXT_MAPS.has(name)) {
    return Object.fromEntries(
      Object.entries(textMap.parse(value)).map(([key, entry]) => [key, pythonText(entry)]),
    );
  }
  return Array.isArray(value) ? value.filter((word) => word !== "") : value;
}

/** A value as Python writes it, which is what workers of the old system were given. */
function pythonText(value: Plain): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}
