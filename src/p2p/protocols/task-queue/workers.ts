/** Old operations of those who work: claim, complete, release, heartbeat. */
import { isJsonObject, type JsonObject } from "../../../content/json.ts";
import { InvalidInputError } from "../../../errors.ts";
import { type ClaimedTask, type Lease, MAX_CLAIM_BATCH, type TaskQueue } from "../../../task/queue.ts";
import { oldClaimedRow } from "../../../task/row.ts";
import { MAX_NAME_CHARS } from "../../../task/task.ts";
import { firstText, integerIn, isTruthy, textOf, typesOf, wrapped } from "./fields.ts";
import {
  OLD_WIRE_HOLDER,
  OLD_WIRE_LEASE_MS,
  type Operation,
  type OperationContext,
  refused,
} from "./operation.ts";

const claim: Operation = {
  names: ["claim", "claim_next"],
  grant: () => "work",
  async run(request, context) {
    const worker = hearWorker(request, context);
    if (worker === undefined) return refused("missing_worker_id");
    const [claimed] = await take(worker, 1, context);
    return { task: claimed ? oldClaimedRow(claimed.task) : null };
  },
};

const claimMany: Operation = {
  names: ["claim_many", "claim_batch"],
  grant: () => "work",
  async run(request, context) {
    const worker = hearWorker(request, context);
    if (worker === undefined) return refused("missing_worker_id");
    const wanted = integerIn(request["max_tasks"]) ?? integerIn(request["limit"]) ?? 1;
    const limit = Math.min(Math.max(wanted, 1), MAX_CLAIM_BATCH);
    const sameType = request["same_task_type"] ?? true;
    const first = await take(worker, isTruthy(sameType) ? 1 : limit, context);
    const [one] = first;
    if (!one || first.length >= limit || !isTruthy(sameType)) return { tasks: first.map(rowOf) };
    const rest = await take({ ...worker, types: [one.task.type] }, limit - 1, context);
    return { tasks: [...first, ...rest].map(rowOf) };
  },
};

const complete: Operation = {
  names: ["complete", "task.complete", "complete_task"],
  grant: () => "work",
  async run(request, context) {
    const { result: given } = request;
    const result = isTruthy(given) ? wrapped("result", given) : undefined;
    const status = (textOf(request["status"]) || "completed").toLowerCase();
    return settle(request, context, workerNamed(request, result), async (queue, lease) => {
      const { signal } = context;
      const error = textOf(request["error"]);
      if (status === "completed") await queue.complete(lease, result ?? {}, { signal });
      else if (status === "cancelled")
        await queue.cancel(lease.taskId, error || "cancelled by its worker", { signal });
      else {
        const message = error || "the worker gave no reason";
        const facts = { code: "E_TASK_FAILED", message, failureClass: "internal" };
        await queue.fail(lease, { error: facts, ...(result && { result }) }, { signal });
      }
    });
  },
};

const release: Operation = {
  names: ["release", "task.release", "release_task"],
  grant: () => "work",
  run: (request, context) =>
    settle(request, context, workerNamed(request, undefined), async (queue, lease) => {
      const reason = textOf(request["reason"]) || "released by its worker";
      await queue.release(lease, reason, { signal: context.signal });
    }),
};

const heartbeat: Operation = {
  names: ["peer.heartbeat", "heartbeat", "peer"],
  grant: () => "work",
  run(request, { node, caller }) {
    const hint = firstText(request, "peer", "peer_id");
    const peerId = named(hint || caller.peerId);
    if (peerId === "") return Promise.resolve(refused("missing_peer_id"));
    node.presence.heard({ peerId, peerHint: hint, transportPeerId: caller.peerId, clock: clockOf(request) });
    return Promise.resolve({ peer: peerId, scheduler: node.presence.summary() });
  },
};

/** The operations of this file. */
export const workerOperations: readonly Operation[] = [claim, claimMany, complete, release, heartbeat];

interface Worker {
  readonly workerId: string;
  readonly types: readonly string[];
}

/** Records who claims, as the old service does; undefined if the worker has no name. */
function hearWorker(request: JsonObject, { node, caller }: OperationContext): Worker | undefined {
  const workerId = named(textOf(request["worker_id"]));
  if (workerId === "") return undefined;
  const types = typesOf(request["supported_task_types"] ?? request["task_types"]);
  const hint = firstText(request, "peer", "peer_id");
  node.presence.heard({
    peerId: named(hint || caller.peerId || workerId),
    peerHint: hint,
    transportPeerId: caller.peerId,
    workerId,
    taskTypes: types,
    clock: clockOf(request),
  });
  return { workerId, types };
}

function take(
  { workerId, types }: Worker,
  limit: number,
  { node, signal }: OperationContext,
): Promise<readonly ClaimedTask[]> {
  const request = { workerId, types, limit, leaseMs: OLD_WIRE_LEASE_MS };
  return node.queue.as(OLD_WIRE_HOLDER).claim(request, { signal });
}

function rowOf({ task }: ClaimedTask): ReturnType<typeof oldClaimedRow> {
  return oldClaimedRow(task);
}

/** Does `act` under the lease of the task that the request names. */
async function settle(
  request: JsonObject,
  { node, signal }: OperationContext,
  workerId: string | undefined,
  act: (queue: TaskQueue, lease: Lease) => Promise<void>,
): Promise<JsonObject> {
  const taskId = textOf(request["task_id"]);
  if (taskId === "") return refused("missing_task_id");
  const queue = node.queue.as(OLD_WIRE_HOLDER);
  const claimOf = { holder: OLD_WIRE_HOLDER, taskId, workerId };
  await node.queue.underHeldLease(claimOf, (lease) => act(queue, lease), { signal });
  return { task_id: taskId };
}

/** The worker that a completion names: itself, or as mesh workers do within the result; undefined if neither. */
function workerNamed(request: JsonObject, result: JsonObject | undefined): string | undefined {
  const progress = result?.["progress"];
  const inResult = isJsonObject(progress) ? textOf(progress["worker_id"]) : "";
  return textOf(request["worker_id"]) || inResult || undefined;
}

function clockOf({ clock }: JsonObject): JsonObject | undefined {
  return isJsonObject(clock) ? clock : undefined;
}

/** @throws InvalidInputError if the name is longer than any real one */
function named(name: string): string {
  if (name.length > MAX_NAME_CHARS)
    throw new InvalidInputError(`a name has more than ${MAX_NAME_CHARS} characters`);
  return name;
}
