/**
 * What a node can do, as it tells others with every heartbeat: bounded, so that nobody fills the table of peers with it.
 *
 * The names are those of the wire and of status.
 */
import * as z from "zod";
import type { JsonObject } from "../content/json.ts";

/** How many models a heartbeat names; status names all. */
export const MAX_TOLD_MODELS = 32;
const MAX_TYPES = 64;
const MAX_GPUS = 16;
const MAX_NAME_CHARS = 256;

/** A graphics processor that a worker found. */
export interface Gpu {
  readonly name: string;
  /** Of its own; absent if that could not be read. */
  readonly memory_bytes?: number | undefined;
}

/** What a node can do. */
export interface Capabilities {
  /** Task types that it takes now. */
  readonly task_types: readonly string[];
  /** Models that it has now: the first {@link MAX_TOLD_MODELS}. */
  readonly models: readonly string[];
  /** How many models it has. */
  readonly models_total: number;
  /** How many tasks it works on at once, and how many more it could now. */
  readonly slots: { readonly total: number; readonly free: number };
  /** The container engine and its version, if it has one. */
  readonly engine?: string | undefined;
  readonly cores?: number | undefined;
  readonly memory_bytes?: number | undefined;
  readonly memory_free_bytes?: number | undefined;
  readonly gpus?: readonly Gpu[] | undefined;
}

const name = z.string().min(1).max(MAX_NAME_CHARS);
const count = z.number().min(0);

/** Accepts {@link Capabilities}, and leaves out what it does not know. */
export const capabilitiesSchema: z.ZodType<Capabilities> = z.object({
  task_types: z.array(name).max(MAX_TYPES),
  models: z.array(name).max(MAX_TOLD_MODELS),
  models_total: z.int().min(0),
  slots: z.object({ total: z.int().min(0), free: z.int().min(0) }),
  engine: name.optional(),
  cores: count.optional(),
  memory_bytes: count.optional(),
  memory_free_bytes: count.optional(),
  gpus: z
    .array(z.object({ name, memory_bytes: count.optional() }))
    .max(MAX_GPUS)
    .optional(),
});

/** What a peer told of itself; undefined if it told nothing, or nothing that holds together. */
export function readCapabilities(told: JsonObject): Capabilities | undefined {
  const read = capabilitiesSchema.safeParse(told["capabilities"]);
  return read.success ? read.data : undefined;
}

/** Within the bounds of what a heartbeat carries. */
export function bounded(capabilities: Omit<Capabilities, "models_total">): Capabilities {
  const { task_types: types, models, gpus, ...rest } = capabilities;
  return {
    ...rest,
    task_types: types.filter(isName).slice(0, MAX_TYPES),
    models: models.filter(isName).slice(0, MAX_TOLD_MODELS),
    models_total: models.length,
    ...(gpus && {
      gpus: gpus.slice(0, MAX_GPUS).map((gpu) => ({ ...gpu, name: gpu.name.slice(0, MAX_NAME_CHARS) })),
    }),
  };
}

function isName(text: string): boolean {
  return text !== "" && text.length <= MAX_NAME_CHARS;
}
