/** Tasks as commands read and show them. */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { DeadlineError, RemoteError, TaskFailedError } from "../errors.ts";
import { isCancelled } from "../nursery/index.ts";
import type { Output } from "./output.ts";
import { peerArguments, type Session } from "./session.ts";
import { age } from "./table.ts";

/** One call waits this long, then the next one: short enough for any proxy between, and to show that it still waits. */
const SLICE_MS = 20_000;
/** What an answer may take beyond its wait. */
const TRAVEL_MS = 10_000;

/** What a wait is about. */
export interface WaitRequest {
  readonly taskId: string;
  readonly peer: string | undefined;
  readonly timeoutMs: number;
  /** The node, if it was named on the command line. */
  readonly node: unknown;
}

/**
 * Waits until a task has ended well, and returns it.
 *
 * @throws TaskFailedError, DeadlineError with the command that goes on waiting, RemoteError if the task is not known
 */
export async function waitForTask(session: Session, request: WaitRequest, out: Output): Promise<JsonObject> {
  const resume = resumeCommand(request);
  const startedAt = performance.now();
  try {
    for (;;) {
      const passedMs = performance.now() - startedAt;
      const leftMs = request.timeoutMs - passedMs;
      const task = await waitOnce(session, request, Math.min(SLICE_MS, Math.max(0, leftMs)));
      const status = text(task, "status");
      if (status === "completed") return task;
      if (status === "failed" || status === "cancelled") throw failureOf(request.taskId, status, task);
      if (leftMs <= SLICE_MS) {
        throw new DeadlineError(`task ${request.taskId} is still ${status} after ${age(request.timeoutMs)}`, {
          hint: `it lives on; wait again: ${resume}`,
        });
      }
      out.live([`task ${request.taskId} is ${status}, waiting for ${age(passedMs + SLICE_MS)}`]);
    }
  } catch (error) {
    if (isCancelled(error)) out.note(`task ${request.taskId} lives on; wait again: ${resume}`);
    throw error;
  } finally {
    out.clear();
  }
}

/** The text member `key` of a row; "" if it has none. */
export function text(row: JsonObject, key: string): string {
  const value = row[key];
  return typeof value === "string" ? value : "";
}

/** The number member `key` of a row; undefined if it has none. */
export function number(row: JsonObject, key: string): number | undefined {
  const value = row[key];
  return typeof value === "number" ? value : undefined;
}

/** The objects in the array member `key`; empty if it has none. */
export function rows(answer: JsonObject, key: string): readonly JsonObject[] {
  const value = answer[key];
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** The result of a task for people: its JSON, indented. */
export function resultText(task: JsonObject): string {
  const { result } = task;
  return JSON.stringify(result ?? null, null, 2);
}

async function waitOnce(
  session: Session,
  { taskId, peer }: WaitRequest,
  sliceMs: number,
): Promise<JsonObject> {
  const args = { task_id: taskId, timeout_s: sliceMs / 1000, ...peerArguments(peer) };
  const { task } = await session.call("p2p_taskqueue_wait_task", args, sliceMs + TRAVEL_MS);
  if (isJsonObject(task)) return task;
  throw new RemoteError({
    code: "E_TASK_NOT_FOUND",
    failureClass: "not-found",
    message: `the queue does not know a task ${taskId}`,
    hint: "ask the node that it was submitted to, with --node or --peer; finished tasks are forgotten after a while",
  });
}

function failureOf(taskId: string, status: string, task: JsonObject): TaskFailedError {
  const code = text(task, "error_code");
  const why = text(task, "error") || "no reason was given";
  return new TaskFailedError(taskId, status, code === "" ? why : `${why} (${code})`, {
    hint: `mcpp call p2p_taskqueue_get_task task_id=${taskId} shows its history`,
  });
}

function resumeCommand({ taskId, peer, node }: WaitRequest): string {
  const at = typeof node === "string" ? ` --node ${node}` : "";
  return `mcpp wait ${taskId}${peer === undefined ? "" : ` --peer ${peer}`}${at}`;
}
