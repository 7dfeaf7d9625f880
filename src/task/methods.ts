/**
 * What one node's queue does for another: the table of methods, and what serves it.
 *
 * JSON has no undefined, so an answer that may be missing is a member that may be missing.
 */
import * as z from "zod";
import { callerName } from "../authority/caller.ts";
import { type JsonObject, jsonObject } from "../content/json.ts";
import { hasCode } from "../errors.ts";
import { shield } from "../nursery/index.ts";
import type { Method, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import type { LocalTaskQueue } from "./local.ts";
import type {
  ClaimedTask,
  ClaimRequest,
  Failure,
  FollowPoint,
  Lease,
  QueueStats,
  ReadyRequest,
  SubmitReceipt,
  TaskFilter,
  TaskNews,
  TaskNote,
  TaskPage,
  TaskQueue,
  WaitOutcome,
} from "./queue.ts";
import {
  claimedTaskSchema,
  claimRequestSchema,
  failureSchema,
  followPointSchema,
  leaseMsSchema,
  leaseSchema,
  newTasksSchema,
  queueStatsSchema,
  readyRequestSchema,
  reasonSchema,
  submitReceiptSchema,
  taskFilterSchema,
  taskIdSchema,
  taskNewsSchema,
  taskNoteSchema,
  taskPageSchema,
  waitMsSchema,
  waitOutcomeSchema,
} from "./schemas.ts";
import { type NewTask, type Task, taskSchema } from "./task.ts";

/** How long handing back may take when everything is being stopped. */
const RELEASE_LIMIT_MS = 5000;

/** The answer of a method that has nothing to say. */
export type Done = Readonly<Record<string, never>>;

const done: z.ZodType<Done> = z.object({});

/** The methods of a queue, with what goes in and what comes out. */
export interface TaskMethods {
  readonly submit: Method<
    { readonly tasks: readonly NewTask[] },
    { readonly receipts: readonly SubmitReceipt[] }
  >;
  readonly claim: Method<ClaimRequest, { readonly claims: readonly ClaimedTask[] }>;
  readonly ready: Method<ReadyRequest, { readonly ready: boolean }>;
  readonly renew: Method<
    { readonly lease: Lease; readonly leaseMs: number },
    { readonly leaseUntilMs: number }
  >;
  readonly note: Method<{ readonly lease: Lease; readonly note: TaskNote }, Done>;
  readonly complete: Method<{ readonly lease: Lease; readonly result: JsonObject }, Done>;
  readonly fail: Method<{ readonly lease: Lease; readonly failure: Failure }, Done>;
  readonly release: Method<{ readonly lease: Lease; readonly reason: string }, Done>;
  readonly lost: Method<{ readonly lease: Lease; readonly waitMs: number }, { readonly lost: boolean }>;
  readonly cancel: Method<{ readonly taskId: string; readonly reason: string }, Done>;
  readonly get: Method<{ readonly taskId: string }, { readonly task?: Task | undefined }>;
  readonly list: Method<TaskFilter, TaskPage>;
  readonly wait: Method<{ readonly taskId: string; readonly timeoutMs: number }, WaitOutcome>;
  readonly follow: Method<
    { readonly taskId: string; readonly point: FollowPoint; readonly waitMs: number },
    TaskNews
  >;
  readonly stats: Method<Done, QueueStats>;
}

/** The table. `idempotent` says why a call may be sent again when its answer was lost. */
export const taskMethods: TaskMethods = {
  submit: {
    name: "task.submit",
    grant: "submit",
    input: z.object({ tasks: newTasksSchema }),
    output: z.object({ receipts: z.array(submitReceiptSchema) }),
    // remoteQueue gives every task an idempotency key, and the key gives the same task.
    idempotent: true,
  },
  claim: {
    name: "task.claim",
    grant: "work",
    input: claimRequestSchema,
    output: z.object({ claims: z.array(claimedTaskSchema) }),
    // A second claim takes other tasks. Those of an answer that was not delivered are released at once, see below,
    // and those of one that was lost on the way come back when their leases end.
    idempotent: false,
  },
  ready: {
    name: "task.ready",
    grant: "work",
    input: readyRequestSchema,
    output: z.object({ ready: z.boolean() }),
    idempotent: true,
  },
  renew: {
    name: "task.renew",
    grant: "work",
    input: z.object({ lease: leaseSchema, leaseMs: leaseMsSchema }),
    output: z.object({ leaseUntilMs: z.number() }),
    // Counts from now, so the last one decides.
    idempotent: true,
  },
  note: {
    name: "task.note",
    grant: "work",
    input: z.object({ lease: leaseSchema, note: taskNoteSchema }),
    output: done,
    // Log lines would be there twice; losing a few is better than that.
    idempotent: false,
  },
  complete: {
    name: "task.complete",
    grant: "work",
    input: z.object({ lease: leaseSchema, result: jsonObject }),
    output: done,
    // Repeated under the same lease it does nothing.
    idempotent: true,
  },
  fail: {
    name: "task.fail",
    grant: "work",
    input: z.object({ lease: leaseSchema, failure: failureSchema }),
    output: done,
    // The first ends the lease, so a second changes nothing; after a retry it is refused with E_LEASE_LOST.
    idempotent: true,
  },
  release: {
    name: "task.release",
    grant: "work",
    input: z.object({ lease: leaseSchema, reason: reasonSchema }),
    output: done,
    // The first ends the lease, so a second is refused with E_LEASE_LOST and changes nothing.
    idempotent: true,
  },
  lost: {
    name: "task.lost",
    grant: "work",
    input: z.object({ lease: leaseSchema, waitMs: waitMsSchema }),
    output: z.object({ lost: z.boolean() }),
    idempotent: true,
  },
  cancel: {
    name: "task.cancel",
    grant: "submit",
    input: z.object({ taskId: taskIdSchema, reason: reasonSchema }),
    output: done,
    // A second is refused with E_TASK_FINISHED ("already cancelled") and changes nothing.
    idempotent: true,
  },
  get: {
    name: "task.get",
    grant: "observe",
    input: z.object({ taskId: taskIdSchema }),
    output: z.object({ task: taskSchema.optional() }),
    idempotent: true,
  },
  list: {
    name: "task.list",
    grant: "observe",
    input: taskFilterSchema,
    output: taskPageSchema,
    idempotent: true,
  },
  wait: {
    name: "task.wait",
    grant: "observe",
    input: z.object({ taskId: taskIdSchema, timeoutMs: waitMsSchema }),
    output: waitOutcomeSchema,
    idempotent: true,
  },
  follow: {
    name: "task.follow",
    grant: "observe",
    input: z.object({ taskId: taskIdSchema, point: followPointSchema, waitMs: waitMsSchema }),
    output: taskNewsSchema,
    idempotent: true,
  },
  stats: { name: "task.stats", grant: "observe", input: done, output: queueStatsSchema, idempotent: true },
};

/** Hands back the tasks of a claim that did not reach its worker. Those that are not held any more are left alone. */
export async function releaseAll(
  queue: Pick<TaskQueue, "release">,
  claims: readonly ClaimedTask[],
): Promise<void> {
  const reason = "the claim did not reach its worker";
  const results = await shield(RELEASE_LIMIT_MS, () =>
    Promise.allSettled(claims.map(({ lease }) => queue.release(lease, reason))),
  );
  for (const result of results)
    if (result.status === "rejected" && !hasCode(result.reason, "E_LEASE_LOST")) throw result.reason;
}

/** Serves a queue to peers: each acts in its own authenticated name, so a lease is good only in its hands. */
export function serveTaskMethods(queue: LocalTaskQueue): readonly ServedMethod[] {
  const m = taskMethods;
  return [
    serve(m.submit, async ({ tasks }, { caller, signal }) => ({
      receipts: await queue.as(callerName(caller)).submit(tasks, { signal }),
    })),
    serve(
      m.claim,
      async (request, { caller, signal }) => ({
        claims: await queue.as(callerName(caller)).claim(request, { signal }),
      }),
      ({ claims }, { caller }) => releaseAll(queue.as(callerName(caller)), claims),
    ),
    serve(m.ready, async (request, { caller, signal }) => ({
      ready: await queue.as(callerName(caller)).ready(request, { signal }),
    })),
    serve(m.renew, async ({ lease, leaseMs }, { caller, signal }) => ({
      leaseUntilMs: await queue.as(callerName(caller)).renew(lease, leaseMs, { signal }),
    })),
    serve(m.note, async ({ lease, note }, { caller, signal }) => {
      await queue.as(callerName(caller)).note(lease, note, { signal });
      return {};
    }),
    serve(m.complete, async ({ lease, result }, { caller, signal }) => {
      await queue.as(callerName(caller)).complete(lease, result, { signal });
      return {};
    }),
    serve(m.fail, async ({ lease, failure }, { caller, signal }) => {
      await queue.as(callerName(caller)).fail(lease, failure, { signal });
      return {};
    }),
    serve(m.release, async ({ lease, reason }, { caller, signal }) => {
      await queue.as(callerName(caller)).release(lease, reason, { signal });
      return {};
    }),
    serve(m.lost, async ({ lease, waitMs }, { caller, signal }) => ({
      lost: await queue.as(callerName(caller)).lost(lease, waitMs, { signal }),
    })),
    serve(m.cancel, async ({ taskId, reason }, { caller, signal }) => {
      await queue.as(callerName(caller)).cancel(taskId, reason, { signal });
      return {};
    }),
    serve(m.get, async ({ taskId }, { caller, signal }) => ({
      task: await queue.as(callerName(caller)).get(taskId, { signal }),
    })),
    serve(m.list, (filter, { caller, signal }) => queue.as(callerName(caller)).list(filter, { signal })),
    serve(m.wait, ({ taskId, timeoutMs }, { caller, signal }) =>
      queue.as(callerName(caller)).wait(taskId, timeoutMs, { signal }),
    ),
    serve(m.follow, ({ taskId, point, waitMs }, { caller, signal }) =>
      queue.as(callerName(caller)).follow(taskId, point, waitMs, { signal }),
    ),
    serve(m.stats, (_, { caller, signal }) => queue.as(callerName(caller)).stats({ signal })),
  ];
}
