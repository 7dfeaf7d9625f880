/**
 * What a task's payload asks for (contract.md 6.4 and 6.5), before anybody said whether it may have it.
 *
 * Values that Python wrote as text count as what they say. Text for `command` or `entrypoint` is split at white space,
 * as the old worker did; lists are taken exactly as they are.
 */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { InvalidInputError } from "../../errors.ts";

/** A run that was asked for. What is undefined was not asked for. */
export interface RunRequest {
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  /** `NAME=value`. */
  readonly environment: readonly string[];
  readonly volumes: readonly Volume[];
  readonly gpus: GpuRequest | undefined;
  readonly devices: readonly string[];
  readonly memoryBytes: number | undefined;
  readonly cpus: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly network: string | undefined;
  readonly workingDir: string | undefined;
  readonly user: string | undefined;
  /** What was asked for although nobody gets it, such as `privileged`. */
  readonly forbidden: readonly string[];
}

/** A path of this machine that a container is to see. */
export interface Volume {
  readonly source: string;
  readonly target: string;
  /** `ro`, `rw`, … as it was written. */
  readonly mode: string | undefined;
}

/** All, some, or named GPUs. */
export type GpuRequest =
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "ids"; readonly ids: readonly string[] };

/** Payload names of privileges that no policy can grant. */
const NEVER = [
  "privileged",
  "cap_add",
  "capabilities",
  "security_opt",
  "pid",
  "pid_mode",
  "ipc",
  "ipc_mode",
  "uts",
  "uts_mode",
  "userns",
  "userns_mode",
  "cgroupns",
  "cgroupns_mode",
  "cgroup_parent",
  "device_cgroup_rules",
  "group_add",
  "mounts",
  "binds",
  "volumes_from",
  "links",
  "sysctls",
  "runtime",
  "storage_opt",
  "ports",
  "publish",
  "extra_hosts",
  "dns",
  "mac_address",
  "ulimits",
  "oom_kill_disable",
  "oom_score_adj",
  "tmpfs",
  "isolation",
  "init_path",
  "HostConfig",
  "host_config",
] as const;

/** Bounds what goes into one request to the engine. */
const MAX_WORDS = 10_000;
const MAX_TEXT_CHARS = 1_000_000;
const MAX_ENTRIES = 1000;

const plain = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const line = z
  .string()
  .max(MAX_TEXT_CHARS)
  .refine((text) => !text.includes("\0"), "must not contain NUL");
const words = z.union([line.transform(split), z.array(line).max(MAX_WORDS)]).nullish();
const amount = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\s*\d+(\.\d+)?\s*$/)
      .transform(Number),
  ])
  .nullish();
const flag = z
  .union([
    z.boolean(),
    z.enum(["True", "true", "1"]).transform(() => true),
    z.enum(["False", "false", "0", ""]).transform(() => false),
  ])
  .nullish();
const texts = z
  .record(line, plain)
  .refine((map) => Object.keys(map).length <= MAX_ENTRIES, "has too many entries")
  .nullish();

const runSchema = z.object({
  command: words,
  cmd: words,
  entrypoint: words,
  environment: texts,
  env: texts,
  volumes: texts,
  gpus: z.union([plain, z.array(plain).max(MAX_ENTRIES)]).optional(),
  gpu: plain.optional(),
  devices: z.union([line.transform((text) => [text]), z.array(line).max(MAX_ENTRIES)]).nullish(),
  memory_limit: z.union([z.string(), z.number()]).nullish(),
  cpu_limit: amount,
  timeout: amount,
  network_mode: z.string().nullish(),
  working_dir: line.nullish(),
  read_only: flag,
  no_new_privileges: flag,
  user: z.union([z.string(), z.int().transform(String)]).nullish(),
});

/** Reads the part of a payload that says how to run a container. @throws InvalidInputError */
export function readRun(payload: JsonObject): RunRequest {
  const read = parse(runSchema, payload);
  const { memory_limit: memory, cpu_limit: cpus, timeout } = read;
  return {
    command: read.command ?? read.cmd ?? undefined,
    entrypoint: read.entrypoint ?? undefined,
    environment: environmentOf(hasEntries(read.environment) ? read.environment : read.env),
    volumes: Object.entries(read.volumes ?? {}).map(([source, target]) => volumeOf(source, String(target))),
    gpus: gpusOf(read.gpus ?? read.gpu),
    devices: read.devices ?? [],
    memoryBytes: memory === null || memory === undefined || memory === "" ? undefined : memoryOf(memory),
    cpus: positive("cpu_limit", cpus),
    timeoutMs: scaled(positive("timeout", timeout)),
    network: read.network_mode || undefined,
    workingDir: read.working_dir || undefined,
    user: read.user || undefined,
    forbidden: [
      ...NEVER.filter((name) => isAskedFor(payload[name])),
      ...(read.read_only === false ? ["read_only: false"] : []),
      ...(read.no_new_privileges === false ? ["no_new_privileges: false"] : []),
    ],
  };
}

/** Reads with a schema. @throws InvalidInputError that names the first member that is wrong */
export function parse<T>(schema: z.ZodType<T>, payload: JsonObject): T {
  const read = schema.safeParse(payload);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new InvalidInputError(`payload.${issue?.path.join(".") ?? ""}: ${issue?.message ?? "is wrong"}`);
}

function split(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function hasEntries(map: Readonly<Record<string, unknown>> | null | undefined): boolean {
  return map !== null && map !== undefined && Object.keys(map).length > 0;
}

/** A value as Python writes it, which is what programs of the old system were given. */
export function pythonText(value: string | number | boolean | null): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

function environmentOf(
  map: Readonly<Record<string, string | number | boolean | null>> | null | undefined,
): readonly string[] {
  return Object.entries(map ?? {}).map(([name, value]) => {
    if (name === "" || name.includes("="))
      throw new InvalidInputError(`'${name.slice(0, 80)}' is no name of an environment variable`);
    return `${name}=${pythonText(value)}`;
  });
}

function volumeOf(source: string, target: string): Volume {
  const [path = "", mode, ...rest] = target.split(":");
  if (path === "" || rest.length > 0)
    throw new InvalidInputError(`the mount '${source}: ${target}' is not of the form container-path[:ro]`);
  return { source, target: path, mode };
}

function gpusOf(asked: unknown): GpuRequest | undefined {
  if (asked === undefined || asked === null || asked === false || asked === "" || asked === 0)
    return undefined;
  if (asked === true || asked === "all") return { kind: "count", count: -1 };
  const number = typeof asked === "string" && /^\d+$/.test(asked) ? Number(asked) : asked;
  if (typeof number === "number" && Number.isInteger(number) && number > 0)
    return { kind: "count", count: number };
  if (Array.isArray(asked)) return { kind: "ids", ids: asked.map(String) };
  if (typeof asked === "string" && /^device=[\w,:-]+$/.test(asked))
    return { kind: "ids", ids: asked.slice("device=".length).split(",") };
  throw new InvalidInputError("payload.gpus must be true, all, a number, or device=<id>,<id>");
}

const UNIT_BYTES: Readonly<Record<string, number>> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

function memoryOf(asked: string | number): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([bkmg]?)(?:i?b)?\s*$/i.exec(String(asked));
  const bytes = Math.floor(Number(match?.[1]) * (UNIT_BYTES[match?.[2]?.toLowerCase() ?? ""] ?? NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidInputError("payload.memory_limit must be a size such as 512m or 2g");
}

function positive(name: string, asked: number | null | undefined): number | undefined {
  if (asked === null || asked === undefined) return undefined;
  if (Number.isFinite(asked) && asked > 0) return asked;
  throw new InvalidInputError(`payload.${name} must be a number above 0`);
}

function scaled(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.ceil(seconds * 1000);
}

function isAskedFor(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "" || value === "False")
    return false;
  if (typeof value === "object") return Object.keys(value).length > 0;
  return true;
}
