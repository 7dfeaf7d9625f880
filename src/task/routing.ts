/**
 * Which workers a task can go to.
 *
 * Tasks wait in lanes. A lane is a canonical type and, for work that only some workers can do, a requirement
 * such as `tool:fs__read_file`. A claim looks at the head of each lane that suits the worker, so its cost depends
 * on how many lanes there are and not on how many tasks wait.
 */
import { type JsonObject } from "../content/json.ts";
import type { ClaimRequest } from "./queue.ts";

/** Other names of task types, from the old system; each stands for the type on the right. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["tool", "tool.call"],
  ["text_generation", "text-generation"],
  ["generation", "text-generation"],
  ["docker.run", "docker.execute"],
  ["docker.hub", "docker.execute"],
  ["docker.execute_docker_container", "docker.execute"],
  ["docker.github_repo", "docker.github"],
  ["docker.build_and_execute_github_repo", "docker.github"],
]);

/** Cannot be part of a type or requirement, so lanes are unambiguous. */
const SEPARATOR = "\u001f";

/** The type that `type` stands for: itself, unless it is an alias. */
export function canonicalType(type: string): string {
  return ALIASES.get(type) ?? type;
}

/** `type` and all its other names, as a queue that knows no aliases must be asked for it. */
export function namesOf(type: string): readonly string[] {
  const canonical = canonicalType(type);
  const others = [...ALIASES].flatMap(([alias, meant]) => (meant === canonical ? [alias] : []));
  return [canonical, ...others];
}

/** The lane that a task of this type and payload waits in. */
export function laneOf(type: string, payload: JsonObject): string {
  const canonical = canonicalType(type);
  const requirement = requirementOf(canonical, payload);
  return requirement === undefined ? canonical : canonical + SEPARATOR + requirement;
}

/** What a worker must be able to do besides the type; undefined if nothing. */
function requirementOf(type: string, payload: JsonObject): string | undefined {
  if (type !== "tool.call") return undefined;
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

/** A test for lanes: whether their tasks suit whoever made this claim. */
export function laneMatcher(request: Pick<ClaimRequest, "types" | "skills">): (lane: string) => boolean {
  const types = new Set((request.types ?? []).map(canonicalType));
  const skills = request.skills === undefined ? undefined : new Set(request.skills);
  return (lane) => {
    const [type = "", requirement] = lane.split(SEPARATOR);
    if (types.size > 0 && !types.has(type)) return false;
    return requirement === undefined || skills === undefined || skills.has(requirement);
  };
}
