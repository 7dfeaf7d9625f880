/** Tasks as commands read and show them. */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import type { LoadedConfig } from "../config.ts";
import { DeadlineError, errorFacts, RemoteError, TaskFailedError } from "../errors.ts";
import { rethrowIfCancelled, sleep } from "../nursery/index.ts";
import type { Invocation } from "./command.ts";
import { Follower } from "./follow.ts";
import type { Output } from "./output.ts";
import { resumeCommand } from "./resume.ts";
import { openSession, peerArguments, type Session } from "./session.ts";
import { age } from "./table.ts";

/** One call waits this long, then the next one: short enough for any proxy between, and to show that it still waits. */
const SLICE_MS = 20_000;
/** What an answer may take beyond its wait. */
const TRAVEL_MS = 10_000;

/** The first pause before connecting again; it doubles with each failure, to {@link PAUSE_CAP_MS}. */
const PAUSE_BASE_MS = 200;
/** A node that starts is found within this time. */
const PAUSE_CAP_MS = 5000;

/** What a wait is about. */
export interface WaitRequest {
  readonly taskId: string;
  readonly peer: string | undefined;
  readonly timeoutMs: number;
  readonly loaded: LoadedConfig;
  /** Print what the task writes and how far it is, while it goes on. Default false. */
  readonly follow?: boolean | undefined;
  /** The connection over which the task was submitted. It is closed. Default: a new one. */
  readonly session?: Session | undefined;
}

/**
 * Waits until a task has ended well, and returns it. Once connected, the wait outlives the node: it looks for it again,
 * where it then is, until its own time is up. However it ends before the task, the failure says how to go on.
 *
 * @throws TaskFailedError, DeadlineError if the task has not ended in time, RemoteError if the task is not known,
 *   UnreachableError if no node is there at first, or none at the end
 */
export async function waitForTask(invocation: Invocation, request: WaitRequest): Promise<JsonObject> {
  const { out, flags } = invocation;
  const goOn = resumeCommand(request.taskId, flags);
  out.resumable({ task_id: request.taskId, resume: request.follow ? `${goOn} --follow` : goOn });
  const startedAt = performance.now();
  const wait = new Wait(request, out);
  try {
    await wait.connect();
    for (;;) {
      const passedMs = performance.now() - startedAt;
      const leftMs = Math.max(0, request.timeoutMs - passedMs);
      const task = await wait.once(leftMs);
      const status = task === undefined ? "unknown" : text(task, "status");
      if (task !== undefined && status === "completed") return task;
      if (task !== undefined && (status === "failed" || status === "cancelled"))
        throw failureOf(request.taskId, status, task);
      if (task !== undefined && leftMs <= SLICE_MS)
        throw new DeadlineError(`task ${request.taskId} is still ${status} after ${age(request.timeoutMs)}`);
      if (!request.follow)
        out.live([`task ${request.taskId} is ${status}, waiting for ${age(passedMs + SLICE_MS)}`]);
    }
  } finally {
    out.clear();
    wait.endOutput();
    await wait.close();
  }
}

/** A wait in slices, over one connection after another. */
class Wait {
  readonly #request: WaitRequest;
  readonly #out: Output;
  #session: Session | undefined;
  #from: Session["from"] | undefined;
  /** Whether the queue has answered before: then one that cannot be reached may be back. */
  #answered: boolean;
  #failures = 0;
  /** Undefined if nothing is shown before the end, or cannot be. */
  #follower: Follower | undefined;

  constructor(request: WaitRequest, out: Output) {
    this.#request = request;
    this.#out = out;
    this.#session = request.session;
    this.#answered = request.session !== undefined;
    this.#follower = request.follow ? new Follower(out) : undefined;
  }

  async connect(): Promise<Session> {
    this.#session ??= await openSession(this.#request.loaded, this.#from);
    this.#from ??= this.#session.from;
    return this.#session;
  }

  /** One slice of at most `leftMs`. @returns undefined if the connection failed; then a pause has passed */
  async once(leftMs: number): Promise<JsonObject | undefined> {
    try {
      const task = await this.#ask(await this.connect(), Math.min(SLICE_MS, leftMs));
      this.#answered = true;
      this.#failures = 0;
      return task;
    } catch (error) {
      rethrowIfCancelled(error);
      if (leftMs <= 0 || !this.#mayPass(error)) throw error;
      if (this.#failures === 0) this.#out.note(`${errorFacts(error).message}; the wait goes on`);
      await this.close();
      const pauseMs = Math.min(PAUSE_CAP_MS, PAUSE_BASE_MS * 2 ** this.#failures++);
      await sleep(Math.min(pauseMs, leftMs));
      return undefined;
    }
  }

  /** Ends a line that a task has begun. */
  endOutput(): void {
    this.#follower?.end();
  }

  async #ask(session: Session, sliceMs: number): Promise<JsonObject> {
    if (this.#follower === undefined) return waitOnce(session, this.#request, sliceMs);
    try {
      const until = performance.now() + sliceMs;
      for (let leftMs = sliceMs; ;) {
        const answer = await askForTask(session, this.#request, leftMs, { since: this.#follower.since });
        this.#answered = true;
        this.#failures = 0;
        this.#follower.show(answer);
        leftMs = until - performance.now();
        // What it ended with comes with the next question.
        if (answer["timed_out"] === false) return await waitOnce(session, this.#request, 0);
        if (leftMs <= 0) return answer.task;
      }
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      this.#out.note(`${errorFacts(error).message}; only the end is shown`);
      this.#follower = undefined;
      return waitOnce(session, this.#request, sliceMs);
    }
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.client.close();
  }

  #mayPass(error: unknown): boolean {
    const { code, failureClass } = errorFacts(error);
    const remote = error instanceof RemoteError;
    // The node answers, and says that it cannot reach the peer: without an earlier answer there may be no such peer.
    if (remote && code === "E_UNREACHABLE") return this.#answered;
    if (code === "E_STORE_FULL" || (failureClass === "cancelled" && !remote)) return false;
    return ["unavailable", "busy", "timeout", "cancelled"].includes(failureClass);
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

/** Whether the queue is that of an older node, which knows only the end of a task. */
function isUnsupported(error: unknown): boolean {
  const { code } = errorFacts(error);
  return code === "E_METHOD_NOT_FOUND" || code === "E_NOT_SUPPORTED_BY_PEER";
}

/** An answer of the tool that waits. */
interface Answer extends JsonObject {
  readonly task: JsonObject;
}

async function waitOnce(session: Session, request: WaitRequest, sliceMs: number): Promise<JsonObject> {
  return (await askForTask(session, request, sliceMs)).task;
}

async function askForTask(
  session: Session,
  { taskId, peer }: WaitRequest,
  sliceMs: number,
  more: JsonObject = {},
): Promise<Answer> {
  const args = { task_id: taskId, timeout_s: sliceMs / 1000, ...more, ...peerArguments(peer) };
  const answer = await session.call("p2p_taskqueue_wait_task", args, sliceMs + TRAVEL_MS);
  const { task } = answer;
  if (isJsonObject(task)) return { ...answer, task };
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
