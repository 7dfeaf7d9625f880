/** The methods of a queue in the words of old peers. What an old queue cannot do is refused, never pretended. */
import { randomInt } from "node:crypto";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import {
  InvalidInputError,
  NotSupportedByPeerError,
  PeerTimeoutError,
  ProtocolError,
  TaskNotFoundError,
} from "../../errors.ts";
import { shield, sleep, TimeoutError } from "../../nursery/index.ts";
import { taskMethods } from "../../task/methods.ts";
import {
  type ClaimedTask,
  type ClaimRequest,
  DEFAULT_LEASE_MS,
  DEFAULT_LIST_LIMIT,
  type SubmitReceipt,
  type TaskFilter,
  type TaskPage,
} from "../../task/queue.ts";
import { isOwnKey } from "../../task/remote.ts";
import { namesOf } from "../../task/routing.ts";
import { DEFAULT_PRIORITY, isFinished, type NewTask } from "../../task/task.ts";
import { errorText, summaryOfRow, taskOfRow } from "./row.ts";
import { type OldExchange, seconds, translate, type Translation } from "./translation.ts";

/** An old queue cannot make a claim wait, so it is asked again: after this at first, */
export const FIRST_POLL_MS = 1000;
/** and after this at most; each question makes the old queue read its oldest 200 tasks. */
export const LAST_POLL_MS = 5000;
/** Old queues have no fencing tokens: every lease has this one, and ends with the task. */
const ONLY_TOKEN = 1;
/** A claim that was sent must be heard: an old queue never takes a task back by itself. */
const CLAIM_HEARD_MS = 10_000;
/** Claimed tasks whose worker is remembered for a release. */
const MAX_WORKERS = 10_000;
/** What stands for the rest of a list that an old peer cannot go on with. */
const BEYOND = "beyond-the-page";

async function submit(tasks: readonly NewTask[], exchange: OldExchange): Promise<readonly SubmitReceipt[]> {
  const [task] = tasks;
  if (task === undefined) return [];
  if (tasks.length > 1) throw unsupported(exchange, "submitting several tasks, all or none");
  const answer = await exchange.ask({
    op: "submit",
    task_type: task.type,
    model_name: task.modelName ?? "",
    payload: payloadOf(task, exchange),
  });
  return [{ taskId: taskIdIn(answer), created: true }];
}

/** The payload, with the priority where old queues look for it. */
function payloadOf(
  { payload, priority, delayMs, idempotencyKey }: NewTask,
  exchange: OldExchange,
): JsonObject {
  // Whoever names these inside the payload speaks to the peer directly and knows what it makes of them.
  const inBand = payload["idempotency_key"] === idempotencyKey;
  if (idempotencyKey !== undefined && !isOwnKey(idempotencyKey) && !inBand)
    throw unsupported(
      exchange,
      "an idempotency key",
      "put it into the payload as idempotency_key if the peer reads it",
    );
  if (delayMs !== undefined && delayMs > 0) throw unsupported(exchange, "a delayed task");
  if (priority === undefined || priority === DEFAULT_PRIORITY || "priority" in payload) return payload;
  return { ...payload, priority };
}

/** One task at most: a second claim that fails would take the first one's task with it. */
async function claim(request: ClaimRequest, exchange: OldExchange): Promise<readonly ClaimedTask[]> {
  const { clock } = exchange;
  const untilMs = clock.now() + (request.waitMs ?? 0);
  let pauseMs = FIRST_POLL_MS;
  for (;;) {
    const claimed = await claimHeard(request, exchange);
    if (claimed) return [claimed];
    const leftMs = untilMs - clock.now();
    if (leftMs <= 0) return [];
    // Not all workers of a node at the same moment.
    await sleep(Math.min(pauseMs - randomInt(pauseMs / 4), leftMs));
    pauseMs = Math.min(2 * pauseMs, LAST_POLL_MS);
  }
}

/** Asks once, and listens to the end even if the caller gives up meanwhile. */
async function claimHeard(request: ClaimRequest, exchange: OldExchange): Promise<ClaimedTask | undefined> {
  const heardMs = Math.min(CLAIM_HEARD_MS, exchange.timeoutMs);
  try {
    return await shield(heardMs, () => claimOnce(request, exchange));
  } catch (error) {
    if (error instanceof TimeoutError) throw new PeerTimeoutError(exchange.peerId, heardMs, { cause: error });
    throw error;
  }
}

async function claimOnce(request: ClaimRequest, exchange: OldExchange): Promise<ClaimedTask | undefined> {
  const { workerId, types = [], leaseMs = DEFAULT_LEASE_MS } = request;
  const answer = await exchange.ask({
    op: "claim",
    worker_id: workerId,
    // Old queues compare types as they are, so each goes by all its names.
    supported_task_types: [...new Set(types.flatMap(namesOf))],
    peer_id: exchange.ownPeerId,
    clock: null,
  });
  const row = answer["task"];
  if (row === null || row === undefined) return undefined;
  const task = taskOfRow(isJsonObject(row) ? { status: "running", assigned_worker: workerId, ...row } : row);
  remember(exchange.workers, task.id, workerId);
  const leaseUntilMs = exchange.clock.epochMs() + leaseMs;
  return { task: { ...task, leaseUntilMs }, lease: { taskId: task.id, token: ONLY_TOKEN }, leaseUntilMs };
}

function remember(workers: Map<string, string>, taskId: string, workerId: string): void {
  const [oldest] = workers.keys();
  if (workers.size >= MAX_WORKERS && oldest !== undefined) workers.delete(oldest);
  workers.set(taskId, workerId);
}

async function list(filter: TaskFilter, exchange: OldExchange): Promise<TaskPage> {
  if (filter.cursor !== undefined)
    throw unsupported(exchange, "the next page of a list", "ask for a larger page, up to 1000 tasks");
  // Nothing is ever a dead letter there.
  if (filter.deadLetter === true) return { tasks: [] };
  const limit = filter.limit ?? DEFAULT_LIST_LIMIT;
  const answer = await exchange.ask({
    op: "list",
    status: filter.state ?? null,
    limit,
    task_types: [...new Set((filter.types ?? []).flatMap(namesOf))],
  });
  const rows = answer["tasks"];
  if (!Array.isArray(rows)) throw new ProtocolError("the peer sent a list that is none");
  const tasks = rows.map(summaryOfRow);
  // There may be more: whoever goes on is told that it cannot be had, rather than that this was all.
  return tasks.length >= limit ? { tasks, nextCursor: BEYOND } : { tasks };
}

async function complete(
  taskId: string,
  outcome: { readonly status: string; readonly result: JsonObject | null; readonly error: string | null },
  exchange: OldExchange,
): Promise<void> {
  await exchange.ask({ op: "complete", task_id: taskId, ...outcome });
  exchange.workers.delete(taskId);
}

function unsupported({ peerId }: OldExchange, what: string, hint?: string): NotSupportedByPeerError {
  return new NotSupportedByPeerError(peerId, what, { hint });
}

function taskIdIn(answer: JsonObject): string {
  const taskId = answer["task_id"];
  if (typeof taskId === "string" && taskId !== "") return taskId;
  throw new ProtocolError("the peer took a task and named no id");
}

const m = taskMethods;

/** The translations. */
export const taskTranslations: readonly Translation[] = [
  // The key that makes it harmless to repeat is not known there.
  translate(m.submit, false, async ({ tasks }, exchange) => ({ receipts: await submit(tasks, exchange) })),
  translate(m.claim, false, async (request, exchange) => ({ claims: await claim(request, exchange) })),
  // There is nothing to renew: the task is the worker's until it is completed.
  translate(m.renew, true, ({ leaseMs }, { clock }) =>
    Promise.resolve({ leaseUntilMs: clock.epochMs() + leaseMs }),
  ),
  // Progress and log lines have no way there; the result has.
  translate(m.note, true, () => Promise.resolve({})),
  translate(m.complete, true, async ({ lease, result }, exchange) => {
    await complete(lease.taskId, { status: "completed", result, error: null }, exchange);
    return {};
  }),
  // An old queue does not try again, so a failure that could pass ends the task too.
  translate(m.fail, true, async ({ lease, failure }, exchange) => {
    const { error, result = null } = failure;
    await complete(lease.taskId, { status: "failed", result, error: errorText(error) }, exchange);
    return {};
  }),
  // Only later versions know these two; the first one answers `unknown_op`, which is no support.
  translate(m.release, false, async ({ lease: { taskId }, reason }, exchange) => {
    const workerId = exchange.workers.get(taskId);
    if (workerId === undefined) throw new InvalidInputError(`task ${taskId} was not claimed here`);
    await exchange.ask({ op: "release", task_id: taskId, worker_id: workerId, reason });
    exchange.workers.delete(taskId);
    return {};
  }),
  translate(m.cancel, true, async ({ taskId, reason }, exchange) => {
    await exchange.ask({ op: "cancel", task_id: taskId, reason });
    return {};
  }),
  translate(m.get, true, async ({ taskId }, exchange) => {
    const { task } = await exchange.ask({ op: "get", task_id: taskId });
    return task === null || task === undefined ? {} : { task: taskOfRow(task) };
  }),
  translate(m.list, true, list),
  translate(m.wait, true, async ({ taskId, timeoutMs }, exchange) => {
    // No time to wait means a minute there.
    const look = { op: "get", task_id: taskId };
    const wait = { op: "wait", task_id: taskId, timeout_s: seconds(timeoutMs) };
    const answer = await exchange.ask(timeoutMs > 0 ? wait : look);
    if (answer["task"] === null || answer["task"] === undefined) throw new TaskNotFoundError(taskId);
    const task = taskOfRow(answer["task"]);
    return { task, finished: isFinished(task.state) };
  }),
  translate(m.stats, true, (_, exchange) => Promise.reject(unsupported(exchange, "counting its tasks"))),
];
