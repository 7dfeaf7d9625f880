/** Makes what callers hand in fit to be stored: drafts from tasks, and bodies and texts within their limits. */
import { createHash } from "node:crypto";
import { canonicalJson } from "../content/canonical-json.ts";
import { type JsonObject, jsonBytes } from "../content/json.ts";
import { parseInput } from "../content/parse.ts";
import { MessageTooLargeError } from "../errors.ts";
import type { TaskIds } from "./ids.ts";
import type { Failure, TaskNote } from "./queue.ts";
import { canonicalType } from "./routing.ts";
import { newTasksSchema } from "./schemas.ts";
import type { TaskDraft } from "./store.ts";
import {
  DEFAULT_MAX_ATTEMPTS,
  DEFAULT_PRIORITY,
  type LogLine,
  MAX_LABEL_CHARS,
  MAX_LOG_LINE_BYTES,
  MAX_LOG_LINE_CHARS,
  MAX_LOG_LINES,
  MAX_PAYLOAD_BYTES,
  MAX_PROGRESS_BYTES,
  MAX_RESULT_BYTES,
  type NewTask,
  type TaskError,
} from "./task.ts";

/** Stands at the end of text that was cut. */
export const CUT_MARK = "… [cut]";

/**
 * Tasks that were handed in, ready for the store.
 *
 * @param nowMs - milliseconds since 1970, from which a delay counts
 * @param laneFor - gives the lane that a task waits in
 * @throws InvalidInputError if one is not a task or its payload not JSON, MessageTooLargeError if it is too large
 */
export function draftsOf(
  tasks: unknown,
  ids: TaskIds,
  nowMs: number,
  laneFor: (task: NewTask) => string,
): readonly TaskDraft[] {
  return parseInput(newTasksSchema, tasks, "submit").map((task) => ({
    ...draftOf(task, nowMs),
    id: ids.next(nowMs),
    lane: laneFor(task),
  }));
}

function draftOf(task: NewTask, nowMs: number): Omit<TaskDraft, "id" | "lane"> {
  const modelName = task.modelName ?? "";
  const payload = checkBody("payload", task.payload);
  return {
    type: task.type,
    modelName,
    payload: task.payload,
    priority: task.priority ?? DEFAULT_PRIORITY,
    maxAttempts: task.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    notBeforeMs: task.delayMs ? Math.ceil(nowMs + task.delayMs) : undefined,
    idempotencyKey: task.idempotencyKey,
    digest: workDigest(task.type, modelName, payload),
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

/** The parts of a task that can be large. */
type Part = "payload" | "result" | "progress";

const MAX_BYTES: Readonly<Record<Part, number>> = {
  payload: MAX_PAYLOAD_BYTES,
  result: MAX_RESULT_BYTES,
  progress: MAX_PROGRESS_BYTES,
};

/**
 * Checks that a body is JSON and leaves room for the others in a frame.
 *
 * @returns its canonical text
 * @throws InvalidInputError, MessageTooLargeError
 */
export function checkBody(what: Part, body: JsonObject): string {
  const text = canonicalJson(body);
  checkSize(what, Buffer.byteLength(text));
  return text;
}

/**
 * A task's progress after a note: the members that the note names are replaced. For the engines, which alone know
 * what it was before.
 *
 * @returns its JSON text
 * @throws MessageTooLargeError if it grew too large; the note is to be refused as a whole then
 */
export function mergedProgress(before: JsonObject | undefined, patch: JsonObject): string {
  const text = JSON.stringify({ ...before, ...patch });
  checkSize("progress", Buffer.byteLength(text));
  return text;
}

function checkSize(what: Part, bytes: number): void {
  if (bytes <= MAX_BYTES[what]) return;
  throw new MessageTooLargeError(`the ${what} has ${bytes} bytes of JSON, more than ${MAX_BYTES[what]}`, {
    hint: "store it elsewhere and pass a reference",
  });
}

/** `text`, or its beginning and {@link CUT_MARK} if it has more characters or bytes than a log line may have. */
export function cutText(text: string): string {
  if (text.length <= MAX_LOG_LINE_CHARS && jsonBytes(text) <= MAX_LOG_LINE_BYTES) return text;
  const kept = beginning(text, MAX_LOG_LINE_CHARS - CUT_MARK.length);
  const bytes = jsonBytes(kept + CUT_MARK);
  if (bytes <= MAX_LOG_LINE_BYTES) return kept + CUT_MARK;
  // A character has at most six bytes (an escape), so this many fit in any case.
  return beginning(text, Math.floor(MAX_LOG_LINE_BYTES / 6) - CUT_MARK.length) + CUT_MARK;
}

/** The first characters; one less where the cut would fall between the halves of one, which cannot be stored. */
function beginning(text: string, chars: number): string {
  const kept = text.slice(0, chars);
  return /[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept;
}

/** A note within its limits: the last {@link MAX_LOG_LINES} lines, each cut. @throws InvalidInputError, MessageTooLargeError */
export function boundedNote(note: TaskNote): TaskNote {
  if (note.progress) checkBody("progress", note.progress);
  return { progress: note.progress, logs: note.logs?.slice(-MAX_LOG_LINES).map(boundedLine) };
}

function boundedLine(line: LogLine): LogLine {
  return {
    atMs: line.atMs,
    stream: beginning(line.stream, MAX_LABEL_CHARS),
    message: cutText(line.message),
  };
}

/** The error of a failure within its limits. @throws InvalidInputError, MessageTooLargeError */
export function boundedError(failure: Failure): TaskError {
  if (failure.result) checkBody("result", failure.result);
  const { code, message, failureClass } = failure.error;
  return {
    code: beginning(code, MAX_LABEL_CHARS),
    message: cutText(message),
    failureClass: beginning(failureClass, MAX_LABEL_CHARS),
  };
}
