/** Schemas of what is asked of workflows and answered, for both ends of a wire. */
import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS, taskErrorSchema, TASK_STATES, type TaskState } from "../../task/task.ts";
import { MAX_ID_CHARS, MAX_TEXT_CHARS } from "../definition/limits.ts";
import { RUN_STATES } from "./events.ts";
import { MAX_RUN_LIMIT, MAX_RUN_WAIT_MS } from "./limits.ts";
import type { Placement } from "../placement.ts";
import type { ReplayReport } from "./replay.ts";
import type { StepState } from "./step-run.ts";
import type { RunFilter, RunPage, RunRow } from "./store.ts";
import type {
  Answer,
  RunExplanation,
  RunReceipt,
  RunRequest,
  RunView,
  RunWait,
  StepExplanation,
  StepTask,
  StepView,
} from "./workflows.ts";

/** Accepts the id of a run, also one that was never given. */
export const runIdSchema: z.ZodType<string> = z.string().trim().min(1).max(MAX_NAME_CHARS);
/** Accepts the id of a step. */
export const stepIdSchema: z.ZodType<string> = z.string().min(1).max(MAX_ID_CHARS);
/** Accepts a reason or comment. */
export const wordsSchema: z.ZodType<string> = z.string().max(MAX_TEXT_CHARS);

/** Accepts a {@link RunRequest}; the workflow itself is checked when it is read. */
export const runRequestSchema: z.ZodType<RunRequest> = z.object({
  workflow: z.unknown(),
  inputs: jsonObject.optional(),
  idempotencyKey: z.string().min(1).max(MAX_NAME_CHARS).optional(),
});

/** Accepts a {@link RunFilter}. */
export const runFilterSchema: z.ZodType<RunFilter> = z.object({
  state: z.enum(RUN_STATES).optional(),
  workflow: z.string().max(MAX_ID_CHARS).optional(),
  asking: z.boolean().optional(),
  limit: z.int().min(1).max(MAX_RUN_LIMIT).optional(),
  cursor: z.string().max(MAX_NAME_CHARS).optional(),
});

/** Accepts a {@link RunWait}. */
export const runWaitSchema: z.ZodType<RunWait> = z.object({
  timeoutMs: z.number().min(0).max(MAX_RUN_WAIT_MS),
  after: z.int().min(0).optional(),
});

/** Accepts an {@link Answer}. */
export const answerSchema: z.ZodType<Answer> = z.object({
  step: stepIdSchema,
  approved: z.boolean(),
  comment: wordsSchema.optional(),
  value: z.unknown().optional(),
});

/** Accepts a {@link RunReceipt}. */
export const runReceiptSchema: z.ZodType<RunReceipt> = z.object({ runId: z.string(), created: z.boolean() });

const rowShape = {
  id: z.string(),
  workflow: z.string(),
  state: z.enum(RUN_STATES),
  length: z.int(),
  asking: z.int(),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  conductor: z.string().optional(),
  conductedUntilMs: z.number().optional(),
};

const rowSchema: z.ZodType<RunRow> = z.object(rowShape);

/** Accepts a {@link RunPage}. */
export const runPageSchema: z.ZodType<RunPage> = z.object({
  runs: z.array(rowSchema),
  nextCursor: z.string().optional(),
});

const stepStates = [
  "waiting",
  "running",
  "asking",
  "completed",
  "failed",
  "skipped",
  "cancelled",
] as const satisfies readonly StepState[];

const stepViewSchema: z.ZodType<StepView> = z.object({
  id: z.string(),
  state: z.enum(stepStates),
  task: z.string().optional(),
  question: z.string().optional(),
  attempts: z.int(),
  items: z.object({ total: z.int(), completed: z.int(), failed: z.int(), open: z.int() }).optional(),
  result: z.unknown().optional(),
  resultBytes: z.int().optional(),
  error: taskErrorSchema.optional(),
  why: z.string().optional(),
});

/** Accepts a {@link RunView}. */
export const runViewSchema: z.ZodType<RunView> = z.object({
  ...rowShape,
  startedBy: z.string(),
  inputs: jsonObject,
  steps: z.array(stepViewSchema),
  output: z.unknown().optional(),
  error: taskErrorSchema.optional(),
});

/** The states of a task, as a schema's list. */
const taskStates: readonly TaskState[] = TASK_STATES;

const stepTaskSchema: z.ZodType<StepTask> = z.object({
  taskId: z.string(),
  item: z.int().optional(),
  attempt: z.int(),
  state: z.enum(taskStates).optional(),
  workerId: z.string().optional(),
  leaseUntilMs: z.number().optional(),
  why: z.string(),
});

const placements = [
  "p2p-only",
  "p2p-preferred",
  "github",
  "anywhere",
] as const satisfies readonly Placement[];

const stepExplanationSchema: z.ZodType<StepExplanation> = z.object({
  id: z.string(),
  state: z.enum(stepStates),
  placement: z.enum(placements),
  why: z.string(),
  tasks: z.array(stepTaskSchema),
});

/** Accepts a {@link RunExplanation}. */
export const runExplanationSchema: z.ZodType<RunExplanation> = z.object({
  runId: z.string(),
  state: z.enum(RUN_STATES),
  why: z.string(),
  steps: z.array(stepExplanationSchema),
});

const happening = z.looseObject({ kind: z.string() });

/** Accepts a {@link ReplayReport}; the decisions that differ are shown as they are. */
export const replayReportSchema: z.ZodType<ReplayReport> = z.custom<ReplayReport>(
  (value) =>
    z
      .object({
        runId: z.string(),
        identical: z.boolean(),
        events: z.int(),
        decisions: z.int(),
        divergence: z.object({ seq: z.int(), logged: happening, decided: happening.optional() }).optional(),
      })
      .safeParse(value).success,
);
