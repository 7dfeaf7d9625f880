/** What the scheduler of one node asks that of another: the table of methods, and what serves and calls it. */
import * as z from "zod";
import { callerName } from "../../authority/caller.ts";
import { shield } from "../../nursery/index.ts";
import type { Method, PeerTarget, RpcClient, ServedMethod } from "../../peer/rpc.ts";
import { serve } from "../../peer/serve.ts";
import type { TaskQueue } from "../../task/queue.ts";
import { leaseMsSchema, leaseSchema } from "../../task/schemas.ts";
import type { AssignedTask, Home, Offer, WorkflowHome } from "./home.ts";
import { MAX_TASK_ID_CHARS, workflowTaskSchema } from "./task.ts";

/** How long handing back may take when everything is being stopped. */
const RELEASE_LIMIT_MS = 5000;
/** How long a claim may take: its answer brings a lease that runs already. */
const CLAIM_TIMEOUT_MS = 5000;
/** A node that has not said by now what it has to offer is left out this time. */
export const OFFER_TIMEOUT_MS = 2000;

type Nothing = Readonly<Record<string, never>>;
const nothing: z.ZodType<Nothing> = z.object({});

const offerSchema: z.ZodType<Offer> = z.object({ priority: z.number(), waitedMs: z.number() });
const assignedSchema: z.ZodType<AssignedTask> = z.object({
  task: workflowTaskSchema,
  lease: leaseSchema,
  leaseUntilMs: z.number(),
  owner: z.string(),
});

/** The methods of a home, with what goes in and what comes out. */
export interface WorkflowMethods {
  readonly offer: Method<Nothing, { readonly offer?: Offer | undefined }>;
  readonly claim: Method<{ readonly leaseMs: number }, { readonly claim?: AssignedTask | undefined }>;
  readonly held: Method<
    { readonly taskId: string },
    { readonly lease?: { readonly taskId: string; readonly token: number } | undefined }
  >;
}

/** The table. Renewing, completing and handing back are methods of the queue, under the lease. */
export const workflowMethods: WorkflowMethods = {
  offer: {
    name: "workflow.offer",
    grant: "work",
    input: nothing,
    output: z.object({ offer: offerSchema.optional() }),
    idempotent: true,
  },
  claim: {
    name: "workflow.claim",
    grant: "work",
    input: z.object({ leaseMs: leaseMsSchema }),
    output: z.object({ claim: assignedSchema.optional() }),
    // A second claim takes another task. One whose answer is lost is handed back, or comes back when its lease ends.
    idempotent: false,
  },
  held: {
    name: "workflow.held",
    grant: "work",
    input: z.object({ taskId: z.string().min(1).max(MAX_TASK_ID_CHARS) }),
    output: z.object({ lease: leaseSchema.optional() }),
    idempotent: true,
  },
};

/** Serves a home to peers: each is given what is meant for its authenticated id. */
export function serveWorkflowMethods(
  home: Home,
  queueAs: (holder: string) => TaskQueue,
): readonly ServedMethod[] {
  const m = workflowMethods;
  return [
    serve(m.offer, async (_, { caller }) => ({ offer: await home.as(callerName(caller)).offer() })),
    serve(
      m.claim,
      async ({ leaseMs }, { caller, signal }) => ({
        claim: await home.as(callerName(caller)).claim(leaseMs, { signal }),
      }),
      async ({ claim }, { caller }) => {
        if (claim) await handBack(queueAs(callerName(caller)), claim);
      },
    ),
    serve(m.held, async ({ taskId }, { caller }) => ({
      lease: await home.as(callerName(caller)).held(taskId),
    })),
  ];
}

/** The home on a peer. */
export function remoteHome(rpc: RpcClient, target: PeerTarget, queue: TaskQueue): WorkflowHome {
  const m = workflowMethods;
  // Nobody named these peers: they are asked because they are there.
  const found = { onlyFound: true } as const;
  return {
    async offer(options) {
      const call = { ...found, timeoutMs: OFFER_TIMEOUT_MS, signal: options?.signal };
      return (await rpc.call(target, m.offer, {}, call)).offer;
    },
    async claim(leaseMs, options) {
      const { claim } = await rpc.call(
        target,
        m.claim,
        { leaseMs },
        {
          ...found,
          timeoutMs: CLAIM_TIMEOUT_MS,
          signal: options?.signal,
          onLate: async (late) => {
            if (late.claim) await handBack(queue, late.claim);
          },
        },
      );
      return claim;
    },
    async held(taskId, options) {
      const call = { ...found, timeoutMs: OFFER_TIMEOUT_MS, signal: options?.signal };
      return (await rpc.call(target, m.held, { taskId }, call)).lease;
    },
  };
}

async function handBack(queue: TaskQueue, { lease }: AssignedTask): Promise<void> {
  await shield(RELEASE_LIMIT_MS, () => queue.release(lease, "the claim did not reach its worker"));
}
