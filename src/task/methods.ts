/**
 * What one node's queue does for another: the table of methods, and what serves it.
 *
 * JSON has no undefined, so an answer that may be missing is a member that may be missing.
 */
import * as z from "zod";
import { callerName } from "../authority/caller.ts";
import { jsonBytes, type JsonObject, jsonObject } from "../content/json.ts";
import type { Method, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import type { LocalTaskQueue } from "./local.ts";
import type {
  ClaimedTask,
  ClaimRequest,
  Failure,
  Lease,
  QueueStats,
  SubmitReceipt,
  TaskFilter,
  TaskNote,
  TaskPage,
  TaskQueue,
  WaitOutcome,
} from "./queue.ts";
import {
  claimedTaskSchema,
  claimRequestSchema,
  failureSchema,
  leaseMsSchema,
  leaseSchema,
  newTasksSchema,
  queueStatsSchema,
  reasonSchema,
  submitReceiptSchema,
  taskFilterSchema,
  taskIdSchema,
  taskNoteSchema,
  taskPageSchema,
  waitMsSchema,
  waitOutcomeSchema,
} from "./schemas.ts";
import { type NewTask, type Task, taskSchema } from "./task.ts";

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
  readonly renew: Method<
    { readonly lease: Lease; readonly leaseMs: number },
    { readonly leaseUntilMs: number }
  >;
  readonly note: Method<{ readonly lease: Lease; readonly note: TaskNote }, Done>;
  readonly complete: Method<{ readonly lease: Lease; readonly result: JsonObject }, Done>;
  readonly fail: Method<{ readonly lease: Lease; readonly failure: Failure }, Done>;
  readonly release: Method<{ readonly lease: Lease; readonly reason: string }, Done>;
  readonly cancel: Method<{ readonly taskId: string; readonly reason: string }, Done>;
  readonly get: Method<{ readonly taskId: string }, { readonly task?: Task | undefined }>;
  readonly list: Method<TaskFilter, TaskPage>;
  readonly wait: Method<{ readonly taskId: string; readonly timeoutMs: number }, WaitOutcome>;
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
    // A second claim takes other tasks; those of the lost answer come back when their leases end.
    idempotent: false,
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
  stats: { name: "task.stats", grant: "observe", input: done, output: queueStatsSchema, idempotent: true },
};

/** Bytes of JSON that the tasks of one claim may have together: one task always fits, see task.ts. */
const MAX_CLAIM_BYTES: number = 15 * 1024 * 1024;

/** As many of the claimed tasks as one message carries; the rest go back unbegun, at once. */
async function fitting(queue: TaskQueue, claims: readonly ClaimedTask[]): Promise<readonly ClaimedTask[]> {
  if (claims.length < 2) return claims;
  let bytes = 0;
  const first = claims.findIndex((claim, i) => (bytes += jsonBytes(claim)) > MAX_CLAIM_BYTES && i > 0);
  if (first === -1) return claims;
  for (const { lease } of claims.slice(first)) await queue.release(lease, "more than one message carries");
  return claims.slice(0, first);
}

/** Serves a queue to peers: each acts in its own authenticated name, so a lease is good only in its hands. */
export function serveTaskMethods(queue: LocalTaskQueue): readonly ServedMethod[] {
  const m = taskMethods;
  return [
    serve(m.submit, async ({ tasks }, { caller, signal }) => ({
      receipts: await queue.as(callerName(caller)).submit(tasks, { signal }),
    })),
    serve(m.claim, async (request, { caller, signal }) => {
      const mine = queue.as(callerName(caller));
      return { claims: await fitting(mine, await mine.claim(request, { signal })) };
    }),
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
    serve(m.stats, (_, { caller, signal }) => queue.as(callerName(caller)).stats({ signal })),
  ];
}
