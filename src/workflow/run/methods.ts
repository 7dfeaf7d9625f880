/** What one node's workflows do for another: the table of methods, and what serves it. */
import * as z from "zod";
import { callerName } from "../../authority/caller.ts";
import type { Method, ServedMethod } from "../../peer/rpc.ts";
import { serve } from "../../peer/serve.ts";
import { type RunEvent, runEventSchema } from "./events.ts";
import type { LocalWorkflows } from "./local.ts";
import type { ReplayReport } from "./replay.ts";
import {
  answerSchema,
  replayReportSchema,
  runExplanationSchema,
  runFilterSchema,
  runIdSchema,
  runPageSchema,
  runReceiptSchema,
  runRequestSchema,
  runViewSchema,
  runWaitSchema,
  stepIdSchema,
  wordsSchema,
} from "./schemas.ts";
import type { RunFilter, RunPage } from "./store.ts";
import type { Answer, RunExplanation, RunReceipt, RunRequest, RunView, RunWait } from "./workflows.ts";

/** The answer of a method that has nothing to say. */
export type Done = Readonly<Record<string, never>>;

/** Names a run. */
export interface OfRun {
  readonly runId: string;
}

/** The methods of workflows, with what goes in and what comes out. */
export interface WorkflowMethods {
  readonly run: Method<RunRequest, RunReceipt>;
  readonly list: Method<RunFilter, RunPage>;
  readonly get: Method<OfRun, { readonly run?: RunView | undefined }>;
  readonly wait: Method<OfRun & RunWait, RunView>;
  readonly events: Method<OfRun & { readonly after: number }, { readonly events: readonly RunEvent[] }>;
  readonly cancel: Method<OfRun & { readonly reason: string }, Done>;
  readonly retry: Method<OfRun & { readonly from?: string | undefined }, Done>;
  readonly answer: Method<OfRun & { readonly answer: Answer }, Done>;
  readonly explain: Method<OfRun, RunExplanation>;
  readonly replay: Method<OfRun, ReplayReport>;
}

const done: z.ZodType<Done> = z.object({});
const ofRun = z.object({ runId: runIdSchema });

/** The table. `idempotent` says why a call may be sent again when its answer was lost. */
export const workflowMethods: WorkflowMethods = {
  run: {
    name: "workflow.run",
    grant: "submit",
    input: runRequestSchema,
    output: runReceiptSchema,
    // remoteWorkflows gives every request an idempotency key, and the key gives the same run.
    idempotent: true,
  },
  list: {
    name: "workflow.list",
    grant: "observe",
    input: runFilterSchema,
    output: runPageSchema,
    idempotent: true,
  },
  get: {
    name: "workflow.get",
    grant: "observe",
    input: ofRun,
    output: z.object({ run: runViewSchema.optional() }),
    idempotent: true,
  },
  wait: {
    name: "workflow.wait",
    grant: "observe",
    input: z.intersection(ofRun, runWaitSchema),
    output: runViewSchema,
    idempotent: true,
  },
  events: {
    name: "workflow.events",
    grant: "observe",
    input: z.object({ runId: runIdSchema, after: z.int().min(0) }),
    output: z.object({ events: z.array(runEventSchema) }),
    idempotent: true,
  },
  cancel: {
    name: "workflow.cancel",
    grant: "submit",
    input: z.object({ runId: runIdSchema, reason: wordsSchema }),
    output: done,
    // A second changes nothing.
    idempotent: true,
  },
  retry: {
    name: "workflow.retry",
    grant: "submit",
    input: z.object({ runId: runIdSchema, from: stepIdSchema.optional() }),
    output: done,
    // A second is refused while the run goes on, but would begin anew after it has ended once more.
    idempotent: false,
  },
  answer: {
    name: "workflow.answer",
    grant: "submit",
    input: z.object({ runId: runIdSchema, answer: answerSchema }),
    output: done,
    // The first one counts; a second is refused with E_RUN_STATE.
    idempotent: true,
  },
  explain: {
    name: "workflow.explain",
    grant: "observe",
    input: ofRun,
    output: runExplanationSchema,
    idempotent: true,
  },
  replay: {
    name: "workflow.replay",
    grant: "observe",
    input: ofRun,
    output: replayReportSchema,
    idempotent: true,
  },
};

/** Serves workflows to peers, each in its own authenticated name. */
export function serveWorkflowMethods(local: LocalWorkflows): readonly ServedMethod[] {
  const m = workflowMethods;
  return [
    serve(m.run, (request, { caller, signal }) => local.as(callerName(caller)).run(request, { signal })),
    serve(m.list, (filter, { caller, signal }) => local.as(callerName(caller)).list(filter, { signal })),
    serve(m.get, async ({ runId }, { caller, signal }) => ({
      run: await local.as(callerName(caller)).get(runId, { signal }),
    })),
    serve(m.wait, ({ runId, ...wait }, { caller, signal }) =>
      local.as(callerName(caller)).wait(runId, wait, { signal }),
    ),
    serve(m.events, async ({ runId, after }, { caller, signal }) => ({
      events: await local.as(callerName(caller)).events(runId, after, { signal }),
    })),
    serve(m.cancel, async ({ runId, reason }, { caller, signal }) => {
      await local.as(callerName(caller)).cancel(runId, reason, { signal });
      return {};
    }),
    serve(m.retry, async ({ runId, from }, { caller, signal }) => {
      await local.as(callerName(caller)).retry(runId, from, { signal });
      return {};
    }),
    serve(m.answer, async ({ runId, answer }, { caller, signal }) => {
      await local.as(callerName(caller)).answer(runId, answer, { signal });
      return {};
    }),
    serve(m.explain, ({ runId }, { caller, signal }) =>
      local.as(callerName(caller)).explain(runId, { signal }),
    ),
    serve(m.replay, ({ runId }, { caller, signal }) =>
      local.as(callerName(caller)).replay(runId, { signal }),
    ),
  ];
}
