/**
 * Which workers a task can go to.
 *
 * Tasks wait in lanes. A lane is a canonical type and, for work that only some workers can do, a requirement such as
 * `tool:fs__read_file` or `model:llama3`. Three kinds of lanes stand apart, before all others: those of tasks that are for
 * one worker alone, those of tasks that one worker is to have first, see sessions.ts, and those that a scheduler assigns. A claim looks at the head of
 * each lane that suits the worker, so its cost depends on what the worker can do and not on how many tasks wait, nor in
 * how many lanes.
 */
import { type JsonObject } from "../content/json.ts";
import type { ClaimRequest } from "./queue.ts";
import { modelOf, pinOf, toolNameOf } from "./requirements.ts";
import type { LaneChoice, LaneRange } from "./store.ts";
import { aliasesOf, TASK_TYPES } from "./types.ts";

/** The canonical type of every other name. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  TASK_TYPES.flatMap(({ type, aliases }) => aliases.map((alias) => [alias, type] as const)),
);

/** Cannot be part of a type or requirement, so lanes are unambiguous. */
const SEPARATOR = "\u001f";
/** The first text after all that begin with the separator. */
const AFTER_SEPARATOR = String.fromCharCode(SEPARATOR.charCodeAt(0) + 1);

/** Begins the lanes of one worker's own tasks: then come the worker and the type. */
const PINNED = `${SEPARATOR}worker:`;
/** Begins the lanes of tasks that one worker is to have first: then come the lane they are for later, until when, and whom. */
const PREFERRED = `${SEPARATOR}until:`;
/** Stands before the instant in such a lane, which no other lane has in it. */
const UNTIL = SEPARATOR + SEPARATOR;
/** Digits of the instant, in seconds since 1970, so that the order of lanes is that of time. */
const UNTIL_DIGITS = 12;
/** Begins the lanes of assigned tasks, each of which has one of its own. */
const ASSIGNED = `${SEPARATOR}assigned:`;

/**
 * Types of the workflow scheduler, which says to whom its tasks go: no claim matches their lanes, whatever it names. The
 * scheduler takes them by {@link laneOfAssigned}.
 */
export const ASSIGNED_TYPES = ["workflow.task", "workflow.github"] as const;

const TOOL_TYPE = "tool.call";
const MODEL_TYPES: readonly string[] = TASK_TYPES.filter(({ needs }) => needs === "a model").map(
  ({ type }) => type,
);
/** How many models of one claim count: a machine has a dozen. */
export const MAX_MODELS = 100;

/** The type that `type` stands for: itself, unless it is an alias. */
export function canonicalType(type: string): string {
  return ALIASES.get(type) ?? type;
}

/** `type` and all its other names, as a queue that knows no aliases must be asked for it. */
export function namesOf(type: string): readonly string[] {
  const canonical = canonicalType(type);
  return [canonical, ...aliasesOf(canonical)];
}

/** Whether tasks of this type are done by a model. */
export function needsModel(type: string): boolean {
  return MODEL_TYPES.includes(canonicalType(type));
}

/** What a lane is made of. */
export interface Routed {
  readonly type: string;
  /** Default: none is meant. */
  readonly modelName?: string | undefined;
  readonly payload: JsonObject;
}

/** The lane that such a task waits in, if no worker is to have it first. */
export function laneOf(task: Routed): string {
  const type = plainLane(task.type);
  const name = ASSIGNED_TYPES.some((assigned) => assigned === type) ? task.payload["task_id"] : undefined;
  if (typeof name === "string" && name !== "") return laneOfAssigned(name);
  const worker = pinOf(task.payload);
  if (worker !== undefined) return pinnedLane(worker, type);
  const requirement = requirementOf(type, task);
  return requirement === undefined ? type : type + SEPARATOR + requirement;
}

/** The lane of a task that waits in `lane` from `untilMs` (since 1970) on, and until then for `workerId`. */
export function preferredLane(lane: string, workerId: string, untilMs: number): string {
  return PREFERRED + lane + UNTIL + digits(Math.ceil(untilMs / 1000)) + SEPARATOR + unseparated(workerId);
}

/** The lane, worker and instant that a {@link preferredLane} was made of; undefined for any other lane. */
export function preferenceIn(
  lane: string,
): { readonly lane: string; readonly workerId: string; readonly untilMs: number } | undefined {
  if (!lane.startsWith(PREFERRED)) return undefined;
  const at = lane.lastIndexOf(UNTIL);
  const until = at + UNTIL.length;
  return {
    lane: lane.slice(PREFERRED.length, at),
    workerId: lane.slice(until + UNTIL_DIGITS + SEPARATOR.length),
    untilMs: Number(lane.slice(until, until + UNTIL_DIGITS)) * 1000,
  };
}

/** A type as a lane of its own. */
function plainLane(type: string): string {
  return unseparated(canonicalType(type));
}

function unseparated(text: string): string {
  return text.replaceAll(SEPARATOR, " ");
}

function pinnedLane(worker: string, type: string): string {
  return PINNED + unseparated(worker) + SEPARATOR + type;
}

function digits(seconds: number): string {
  return String(Math.max(0, seconds)).padStart(UNTIL_DIGITS, "0");
}

/** The lane of the assigned task that its submitter calls `name`. */
export function laneOfAssigned(name: string): string {
  return ASSIGNED + name;
}

/** The name of the assigned task that waits in `lane`; undefined if the lane is another one. */
export function assignedIn(lane: string): string | undefined {
  return lane.startsWith(ASSIGNED) ? lane.slice(ASSIGNED.length) : undefined;
}

/** What a worker must be able to do besides the type; undefined if nothing. */
function requirementOf(type: string, task: Routed): string | undefined {
  if (MODEL_TYPES.includes(type)) return named("model", modelOf(task));
  return type === TOOL_TYPE ? named("tool", toolNameOf(task.payload)) : undefined;
}

function named(kind: string, name: string | undefined): string | undefined {
  return name === undefined ? undefined : `${kind}:${name}`;
}

/** Who claims, and when. */
export interface Claimer {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Whether to look through all lanes of tasks that somebody else was to have first and did not take. Default true. */
  readonly over?: boolean | undefined;
}

type Request = Pick<ClaimRequest, "types" | "skills"> & Partial<Pick<ClaimRequest, "workerId">>;

/**
 * The lanes whose tasks suit whoever made this claim.
 *
 * A claim that names its types and skills knows its lanes; one that leaves either out must look through those there are.
 */
export function laneChoice(request: Request, { nowMs, over = true }: Claimer): LaneChoice {
  const types = [...new Set((request.types ?? []).map(plainLane))];
  const suited =
    request.skills === undefined ? anySkill(types) : skilled(types, request.skills, over ? nowMs : undefined);
  const own = workersOf(request).map((worker) => pinnedChoice(worker, types));
  return {
    lanes: [...suited.lanes, ...own.flatMap(({ lanes }) => lanes)],
    ranges: [...suited.ranges, ...own.flatMap(({ ranges }) => ranges)],
  };
}

/** The names under which tasks can be meant for whoever made this claim. */
export function workersOf(request: Request): readonly string[] {
  const listed = (request.skills ?? []).flatMap((skill) =>
    skill.startsWith("worker:") ? [skill.slice("worker:".length)] : [],
  );
  return [...new Set([...(request.workerId === undefined ? [] : [request.workerId]), ...listed])];
}

function pinnedChoice(worker: string, types: readonly string[]): LaneChoice {
  if (types.length > 0) return { lanes: types.map((type) => pinnedLane(worker, type)), ranges: [] };
  return { lanes: [], ranges: [startingWith(PINNED + unseparated(worker) + SEPARATOR)] };
}

/** Tasks of these types (none: any) whatever they require, also those that somebody else was to have first. */
function anySkill(types: readonly string[]): LaneChoice {
  if (types.length === 0)
    return {
      lanes: [],
      ranges: [{ from: "", before: SEPARATOR }, startingWith(PREFERRED), { from: AFTER_SEPARATOR }],
    };
  const modelTypes = types.filter((type) => MODEL_TYPES.includes(type));
  const demanding = [...(types.includes(TOOL_TYPE) ? [TOOL_TYPE] : []), ...modelTypes];
  return {
    lanes: types,
    ranges: [
      ...demanding.map((type) => startingWith(type + SEPARATOR)),
      ...modelTypes.map((type) => startingWith(PREFERRED + type + SEPARATOR)),
    ],
  };
}

/** @param overMs - the instant before which turns of others are over; undefined: do not look for them */
function skilled(
  types: readonly string[],
  skills: readonly string[],
  overMs: number | undefined,
): LaneChoice {
  const anyType = types.length === 0;
  const models = [...new Set(skills.filter((skill) => skill.startsWith("model:")))].slice(0, MAX_MODELS);
  const tools = new Set(skills.filter((skill) => skill.startsWith("tool:")));
  const modelTypes = MODEL_TYPES.filter((type) => anyType || types.includes(type));
  const modelLanes = modelTypes.flatMap((type) => models.map((model) => type + SEPARATOR + model));
  const toolLanes =
    anyType || types.includes(TOOL_TYPE) ? [...tools].map((tool) => TOOL_TYPE + SEPARATOR + tool) : [];
  const over =
    overMs === undefined
      ? []
      : [...modelTypes, ...modelLanes].map((lane) => ({
          from: PREFERRED + lane + UNTIL,
          before: PREFERRED + lane + UNTIL + digits(Math.floor(overMs / 1000) + 1),
        }));
  return {
    lanes: [...types, ...modelLanes, ...toolLanes],
    ranges: [...(anyType ? withoutRequirement() : []), ...over],
  };
}

/** All lanes but those with a requirement and those that stand apart. */
function withoutRequirement(): readonly LaneRange[] {
  const demanding = [TOOL_TYPE, ...MODEL_TYPES].map((type) => startingWith(type + SEPARATOR));
  const apart = { from: SEPARATOR, before: AFTER_SEPARATOR };
  const ranges: LaneRange[] = [];
  let from = "";
  for (const gap of [apart, ...demanding].toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    ranges.push({ from, before: gap.from });
    from = gap.before;
  }
  return [...ranges, { from }];
}

/** All lanes that begin with `prefix`, which ends with the separator or another character of ASCII. */
function startingWith(prefix: string): { readonly from: string; readonly before: string } {
  const last = prefix.charCodeAt(prefix.length - 1);
  return { from: prefix, before: prefix.slice(0, -1) + String.fromCharCode(last + 1) };
}

/** A test for lanes: whether `choice` takes them. */
export function laneTest({ lanes, ranges }: LaneChoice): (lane: string) => boolean {
  const known = new Set(lanes);
  return (lane) => known.has(lane) || ranges.some((range) => isInRange(lane, range));
}

/** A test for lanes: whether such a claim takes tasks from them, at the time of the test. */
export function claimTest(request: Request, nowMs: () => number): (lane: string) => boolean {
  const takes = laneTest(laneChoice(request, { nowMs: nowMs() }));
  const workers = workersOf(request);
  return (lane) => {
    const preference = preferenceIn(lane);
    if (!preference) return takes(lane);
    const turn = preference.untilMs <= nowMs() || workers.includes(preference.workerId);
    return turn && takes(preference.lane);
  };
}

/** Whether `lane` belongs to `range`. */
export function isInRange(lane: string, { from, before }: LaneRange): boolean {
  return lane >= from && (before === undefined || lane < before);
}
