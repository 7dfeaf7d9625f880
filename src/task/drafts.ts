/** Makes what callers hand in fit to be stored: drafts from tasks, and bodies and texts within their limits. */
import { createHash, randomUUID } from "node:crypto";
import { canonicalJson } from "../content/canonical-json.ts";
import type { JsonObject } from "../content/json.ts";
import { MessageTooLargeError } from "../errors.ts";
import type { Failure, TaskNote } from "./queue.ts";
import { canonicalType, laneOf } from "./routing.ts";
import type { TaskDraft } from "./store.ts";
import {
  DEFAULT_MAX_ATTEMPTS,
  DEFAULT_PRIORITY,
  type LogLine,
  MAX_BODY_BYTES,
  MAX_LOG_LINE_CHARS,
  MAX_LOG_LINES,
  type NewTask,
  type TaskError,
} from "./task.ts";

/** Stands at the end of text that was cut. */
export const CUT_MARK = "… [cut]";

/**
 * A validated task, ready for the store.
 *
 * @param nowMs - milliseconds since 1970, from which a delay counts
 * @throws InvalidInputError if the payload is not JSON, MessageTooLargeError if it is too large
 */
export function draftOf(task: NewTask, nowMs: number): TaskDraft {
  const modelName = task.modelName ?? "";
  const payload = checkBody("payload", task.payload);
  return {
    id: randomUUID().replaceAll("-", ""),
    type: task.type,
    modelName,
    payload: task.payload,
    priority: task.priority ?? DEFAULT_PRIORITY,
    maxAttempts: task.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    notBeforeMs: task.delayMs ? Math.ceil(nowMs + task.delayMs) : undefined,
    idempotencyKey: task.idempotencyKey,
    digest: workDigest(task.type, modelName, payload),
    lane: laneOf(task.type, task.payload),
  };
}

/**
 * The digest of what a task does: its type (aliases count as one), model and payload. Priority, delay and number of
 * attempts say how it is to be done, so a repeated submit may name others and still means the same work.
 */
function workDigest(type: string, modelName: string, canonicalPayload: string): string {
  const head = canonicalJson([canonicalType(type), modelName]);
  return createHash("sha256").update(head).update("\n").update(canonicalPayload).digest("hex");
}

/**
 * Checks that a body is JSON and fits into a frame.
 *
 * @returns its canonical text
 * @throws InvalidInputError, MessageTooLargeError
 */
export function checkBody(what: string, body: JsonObject): string {
  const text = canonicalJson(body);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BODY_BYTES) {
    throw new MessageTooLargeError(`the ${what} has ${bytes} bytes of JSON, more than ${MAX_BODY_BYTES}`, {
      hint: "store it elsewhere and pass a reference",
    });
  }
  return text;
}

/** `text`, or its beginning and {@link CUT_MARK} if it is longer than {@link MAX_LOG_LINE_CHARS}. */
export function cutText(text: string): string {
  if (text.length <= MAX_LOG_LINE_CHARS) return text;
  const kept = text.slice(0, MAX_LOG_LINE_CHARS - CUT_MARK.length);
  // The cut may fall between the two halves of a character; half of one cannot be stored.
  return (/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept) + CUT_MARK;
}

/** A note within its limits: the last {@link MAX_LOG_LINES} lines, each cut. @throws InvalidInputError, MessageTooLargeError */
export function boundedNote(note: TaskNote): TaskNote {
  if (note.progress) checkBody("progress", note.progress);
  return { progress: note.progress, logs: note.logs?.slice(-MAX_LOG_LINES).map(boundedLine) };
}

function boundedLine(line: LogLine): LogLine {
  return { atMs: line.atMs, stream: cutText(line.stream), message: cutText(line.message) };
}

/** The error of a failure within its limits. @throws InvalidInputError, MessageTooLargeError */
export function boundedError(failure: Failure): TaskError {
  if (failure.result) checkBody("result", failure.result);
  const { code, message, failureClass } = failure.error;
  return { code: cutText(code), message: cutText(message), failureClass: cutText(failureClass) };
}
