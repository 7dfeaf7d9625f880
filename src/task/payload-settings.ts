/**
 * What a payload says about its own task.
 *
 * Python peers have no arguments for these, so they put them into the payload (contract.md 2.7 for the priority).
 */
import type { JsonObject } from "../content/json.ts";
import {
  DEFAULT_PRIORITY,
  MAX_ATTEMPTS,
  MAX_NAME_CHARS,
  MAX_PRIORITY,
  MIN_PRIORITY,
  type NewTask,
} from "./task.ts";

/** The settings of a task that its payload names, where the submitter named none. */
export function settingsIn(
  payload: JsonObject,
): Pick<NewTask, "priority" | "maxAttempts" | "idempotencyKey"> {
  const { priority, max_attempts: maxAttempts, idempotency_key: key } = payload;
  return {
    ...(priority !== undefined && { priority: priorityOf(priority) }),
    ...(isAttempts(maxAttempts) && { maxAttempts }),
    ...(isKey(key) && { idempotencyKey: key }),
  };
}

/** Optional sign, digits with single underscores between them: what Python's `int` reads. */
const PYTHON_INTEGER = /^[+-]?\d+(_\d+)*$/;

/** The priority that the old system reads out of a value: an integer from 1 to 10; 5 for what is empty or unreadable. */
export function priorityOf(value: unknown): number {
  const read = integerOf(value);
  if (read === undefined || read === 0) return DEFAULT_PRIORITY;
  return Math.min(Math.max(read, MIN_PRIORITY), MAX_PRIORITY);
}

function integerOf(value: unknown): number | undefined {
  if (typeof value === "boolean") return Number(value);
  // A fraction below one is no empty value, so it ends as the least priority and not as the default.
  if (typeof value === "number")
    return Number.isFinite(value) ? Math.trunc(value) || Math.sign(value) * MIN_PRIORITY : undefined;
  if (typeof value !== "string" || !PYTHON_INTEGER.test(value.trim())) return undefined;
  // Text is never empty in Python's eyes: "0" is read, and then raised to the least priority.
  return Number(value.trim().replaceAll("_", "")) || MIN_PRIORITY;
}

function isAttempts(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_ATTEMPTS;
}

function isKey(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME_CHARS;
}
