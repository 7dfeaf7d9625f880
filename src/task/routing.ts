/**
 * Which workers a task can go to.
 *
 * Tasks wait in lanes. A lane is a canonical type and, for work that only some workers can do, a requirement
 * such as `tool:fs__read_file`. A claim looks at the head of each lane that suits the worker, so its cost depends
 * on what the worker can do and not on how many tasks wait, nor in how many lanes.
 */
import { type JsonObject } from "../content/json.ts";
import type { ClaimRequest } from "./queue.ts";
import type { LaneChoice, LaneRange } from "./store.ts";
import { aliasesOf, TASK_TYPES } from "./types.ts";

/** The canonical type of every other name. */
const ALIASES: ReadonlyMap<string, string> = new Map(
  TASK_TYPES.flatMap(({ type, aliases }) => aliases.map((alias) => [alias, type] as const)),
);

/** Cannot be part of a type or requirement, so lanes are unambiguous. */
const SEPARATOR = "\u001f";

/** The first text after all that begin with a type and the separator. */
const AFTER_SEPARATOR = String.fromCharCode(SEPARATOR.charCodeAt(0) + 1);

/** The only lanes whose requirement a claim can meet are those of this type: from the first text up to the second. */
const DEMANDING_TYPE = "tool.call";
const DEMANDING_FROM = `${DEMANDING_TYPE}${SEPARATOR}`;
const DEMANDING_BEFORE = `${DEMANDING_TYPE}${AFTER_SEPARATOR}`;

/**
 * Types of the workflow scheduler, which says to whom its tasks go: each task has a lane of its own, and no claim matches
 * any of these, whatever it names. The scheduler takes them by {@link laneOfAssigned}.
 */
export const ASSIGNED_TYPES = ["workflow.task", "workflow.github"] as const;
const ASSIGNED_FROM = `workflow.task${SEPARATOR}`;
const ASSIGNED_BEFORE = `workflow.task${AFTER_SEPARATOR}`;

/** The type that `type` stands for: itself, unless it is an alias. */
export function canonicalType(type: string): string {
  return ALIASES.get(type) ?? type;
}

/** `type` and all its other names, as a queue that knows no aliases must be asked for it. */
export function namesOf(type: string): readonly string[] {
  const canonical = canonicalType(type);
  return [canonical, ...aliasesOf(canonical)];
}

/** The lane that a task of this type and payload waits in. */
export function laneOf(type: string, payload: JsonObject): string {
  const canonical = canonicalType(type);
  const name = ASSIGNED_TYPES.some((assigned) => assigned === canonical) ? payload["task_id"] : undefined;
  if (typeof name === "string" && name !== "") return laneOfAssigned(name);
  const requirement = requirementOf(canonical, payload);
  return requirement === undefined ? canonical : canonical + SEPARATOR + requirement;
}

/** The lane of the assigned task that its submitter calls `name`. */
export function laneOfAssigned(name: string): string {
  return ASSIGNED_FROM + name;
}

/** The name of the assigned task that waits in `lane`; undefined if the lane is another one. */
export function assignedIn(lane: string): string | undefined {
  return lane.startsWith(ASSIGNED_FROM) ? lane.slice(ASSIGNED_FROM.length) : undefined;
}

/** What a worker must be able to do besides the type; undefined if nothing. */
function requirementOf(type: string, payload: JsonObject): string | undefined {
  if (type !== DEMANDING_TYPE) return undefined;
  const tool = toolNameOf(payload);
  return tool === undefined ? undefined : `tool:${tool}`;
}

/** The tool that the payload of a `tool.call` task names: the first non-empty of `tool`, `tool_name`, `name`. */
export function toolNameOf(payload: JsonObject): string | undefined {
  for (const key of ["tool", "tool_name", "name"]) {
    const value = payload[key];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}

/**
 * The lanes whose tasks suit whoever made this claim.
 *
 * A claim that names its types and skills knows its lanes; one that leaves either out must look through those there are.
 */
export function laneChoice(request: Pick<ClaimRequest, "types" | "skills">): LaneChoice {
  const types = [...new Set((request.types ?? []).map(canonicalType))];
  const anyType = types.length === 0;
  const demanding = anyType || types.includes(DEMANDING_TYPE);
  const skills = demanding ? (request.skills ?? []) : [];
  const lanes = [...types, ...new Set(skills.map((skill) => DEMANDING_FROM + skill))];
  if (request.skills === undefined) {
    if (anyType)
      return { lanes: [], ranges: [{ from: "", before: ASSIGNED_FROM }, { from: ASSIGNED_BEFORE }] };
    return { lanes, ranges: demanding ? [{ from: DEMANDING_FROM, before: DEMANDING_BEFORE }] : [] };
  }
  if (!anyType) return { lanes, ranges: [] };
  const others = [{ from: DEMANDING_BEFORE, before: ASSIGNED_FROM }, { from: ASSIGNED_BEFORE }];
  return { lanes, ranges: [{ from: "", before: DEMANDING_FROM }, ...others] };
}

/** A test for lanes: whether `choice` takes them. */
export function laneTest({ lanes, ranges }: LaneChoice): (lane: string) => boolean {
  const named = new Set(lanes);
  return (lane) => named.has(lane) || ranges.some((range) => isInRange(lane, range));
}

/** Whether `lane` belongs to `range`. */
export function isInRange(lane: string, { from, before }: LaneRange): boolean {
  return lane >= from && (before === undefined || lane < before);
}
