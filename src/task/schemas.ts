/**
 * Schemas of what a queue is asked, with its limits: a value out of range is refused, not moved into range.
 *
 * Both ends use them: the method table to parse what a peer sent, the local queue for what code hands it.
 */
import * as z from "zod";
import { jsonObject } from "../content/json.ts";
import {
  type ClaimedTask,
  type ClaimRequest,
  type Failure,
  type FollowPoint,
  type Lease,
  MAX_CLAIM_BATCH,
  MAX_CLAIM_WAIT_MS,
  MAX_LEASE_MS,
  MAX_LIST_LIMIT,
  MAX_SKILLS,
  MAX_SUBMIT_BATCH,
  MAX_WAIT_MS,
  MIN_LEASE_MS,
  type QueueStats,
  type ReadyRequest,
  type SubmitReceipt,
  type TaskFilter,
  type TaskNews,
  type TaskNote,
  type TaskPage,
  type WaitOutcome,
} from "./queue.ts";
import {
  logLineSchema,
  MAX_DELAY_MS,
  MAX_NAME_CHARS,
  type NewTask,
  newTaskSchema,
  taskErrorSchema,
  taskSchema,
  taskSummarySchema,
} from "./task.ts";

/** Skills name tools, whose names may be longer than a task type. */
export const MAX_SKILL_CHARS = 1024;
/** How many types one claim or list may name; nobody has more handlers. */
export const MAX_TYPES = 1000;
/** More log lines than this in one note are a defect of the sender; a task keeps far fewer. */
export const MAX_NOTE_LINES = 10_000;
/** Free text bigger than any reason, still small beside a frame; longer text is cut before it is stored. */
const MAX_REASON_CHARS = 64 * 1024;

const name = z.string().max(MAX_NAME_CHARS);

/** Accepts the id of a task, also one that no queue ever made. */
export const taskIdSchema: z.ZodType<string> = name.min(1);

/** Accepts the tasks of one submit. */
export const newTasksSchema: z.ZodType<readonly NewTask[]> = z.array(newTaskSchema).max(MAX_SUBMIT_BATCH);

/** Accepts a {@link SubmitReceipt}. */
export const submitReceiptSchema: z.ZodType<SubmitReceipt> = z.object({
  taskId: z.string(),
  created: z.boolean(),
});

const types = z.array(name.min(1)).max(MAX_TYPES).optional();
const skills = z.array(z.string().min(1).max(MAX_SKILL_CHARS)).max(MAX_SKILLS).optional();
const waitMs = z.number().min(0).max(MAX_CLAIM_WAIT_MS).optional();

/** Accepts a {@link ClaimRequest}. */
export const claimRequestSchema: z.ZodType<ClaimRequest> = z.object({
  workerId: name.min(1),
  types,
  skills,
  limit: z.int().min(1).max(MAX_CLAIM_BATCH).optional(),
  waitMs,
  leaseMs: z.number().min(MIN_LEASE_MS).max(MAX_LEASE_MS).optional(),
});

/** Accepts a {@link ReadyRequest}. */
export const readyRequestSchema: z.ZodType<ReadyRequest> = z.object({ types, skills, waitMs });

/** Accepts a {@link Lease}. */
export const leaseSchema: z.ZodType<Lease> = z.object({ taskId: taskIdSchema, token: z.int().min(1) });

/** Accepts how long a lease is to hold from now, in milliseconds. */
export const leaseMsSchema: z.ZodType<number> = z.number().min(MIN_LEASE_MS).max(MAX_LEASE_MS);

/** Accepts a {@link ClaimedTask}. */
export const claimedTaskSchema: z.ZodType<ClaimedTask> = z.object({
  task: taskSchema,
  lease: leaseSchema,
  leaseUntilMs: z.number(),
});

/** Accepts a {@link TaskNote}. */
export const taskNoteSchema: z.ZodType<TaskNote> = z.object({
  progress: jsonObject.optional(),
  logs: z.array(logLineSchema).max(MAX_NOTE_LINES).optional(),
});

/** Accepts a {@link Failure}. */
export const failureSchema: z.ZodType<Failure> = z.object({
  error: taskErrorSchema,
  retry: z.boolean().optional(),
  retryAfterMs: z.number().min(0).max(MAX_DELAY_MS).optional(),
  result: jsonObject.optional(),
});

/** Accepts why a task is released or cancelled. */
export const reasonSchema: z.ZodType<string> = z.string().max(MAX_REASON_CHARS);

/** Accepts a {@link TaskFilter}. */
export const taskFilterSchema: z.ZodType<TaskFilter> = z.object({
  state: z.enum(["queued", "running", "completed", "failed", "cancelled"]).optional(),
  types: z.array(name.min(1)).max(MAX_TYPES).optional(),
  deadLetter: z.boolean().optional(),
  limit: z.int().min(1).max(MAX_LIST_LIMIT).optional(),
  cursor: z.string().max(MAX_NAME_CHARS).optional(),
});

/** Accepts a {@link TaskPage}. */
export const taskPageSchema: z.ZodType<TaskPage> = z.object({
  tasks: z.array(taskSummarySchema),
  nextCursor: z.string().optional(),
});

/** Accepts how long a wait may last, in milliseconds. */
export const waitMsSchema: z.ZodType<number> = z.number().min(0).max(MAX_WAIT_MS);

/** Accepts a {@link WaitOutcome}. */
export const waitOutcomeSchema: z.ZodType<WaitOutcome> = z.object({
  task: taskSchema,
  finished: z.boolean(),
});

const count = z.int().min(0);

/** Accepts a {@link FollowPoint}. */
export const followPointSchema: z.ZodType<FollowPoint> = z.object({
  lines: count,
  changedAtMs: z.number().min(0),
});

/** Accepts {@link TaskNews}. */
export const taskNewsSchema: z.ZodType<TaskNews> = z.object({
  task: taskSummarySchema,
  progress: jsonObject.optional(),
  logs: z.array(logLineSchema),
  missed: count,
  point: followPointSchema,
  finished: z.boolean(),
});

/** Accepts {@link QueueStats}. */
export const queueStatsSchema: z.ZodType<QueueStats> = z.object({
  byState: z.object({ queued: count, running: count, completed: count, failed: count, cancelled: count }),
  ready: count,
  deadLetters: count,
  oldestReadyMs: z.number(),
});
