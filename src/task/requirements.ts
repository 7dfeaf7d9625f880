/** What a task asks of its worker, as far as it is read out of the task: a tool, a model, one worker, a session. */
import type { JsonObject } from "../content/json.ts";
import { MAX_NAME_CHARS } from "./task.ts";

/** The tool that the payload of a `tool.call` task names: the first non-empty of `tool`, `tool_name`, `name`. */
export function toolNameOf(payload: JsonObject): string | undefined {
  return firstText(payload, ["tool", "tool_name", "name"]);
}

/** The model that a task names: its model name, or `model_name` or `model` of its payload; undefined if it names none. */
export function modelOf(task: {
  readonly modelName?: string | undefined;
  readonly payload: JsonObject;
}): string | undefined {
  return task.modelName || firstText(task.payload, ["model_name", "model"]);
}

/** The one worker that may have a task: `sticky_worker_id`, as later Python nodes have it (contract.md 11). */
export function pinOf(payload: JsonObject): string | undefined {
  return shortText(payload, ["sticky_worker_id"]);
}

/** The session that a task belongs to: the first non-empty of `session_id`, `session`, `p2p_session` (contract.md 11). */
export function sessionOf(payload: JsonObject): string | undefined {
  return shortText(payload, ["session_id", "session", "p2p_session"]);
}

function shortText(payload: JsonObject, keys: readonly string[]): string | undefined {
  const text = firstText(payload, keys);
  return text !== undefined && text.length <= MAX_NAME_CHARS ? text : undefined;
}

function firstText(payload: JsonObject, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = payload[key];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}
