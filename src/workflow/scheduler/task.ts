/** A task of the workflow scheduler, and how it stands in a queue. */
import * as z from "zod";
import { ASSIGNED_TYPES } from "../../task/routing.ts";
import {
  DEFAULT_PRIORITY,
  MAX_ATTEMPTS,
  MAX_NAME_CHARS,
  MAX_PRIORITY,
  MIN_PRIORITY,
  type NewTask,
  type Task,
  type TaskSummary,
} from "../../task/task.ts";
import { workflowTaskHash } from "../hashes.ts";
import { placementOf, type Placement } from "../placement.ts";
import { parseTags, WORKFLOW_TAGS, type WorkflowTag } from "../tags.ts";

/** A longer id would not fit into the key that keeps it from being there twice. */
export const MAX_TASK_ID_CHARS = 200;
/** More tags than there are say nothing. */
export const MAX_TAGS = 64;

/** A piece of work that somebody submitted to the scheduler. */
export interface WorkflowTask {
  /** Chosen by the submitter. */
  readonly taskId: string;
  readonly workflowId: string;
  readonly name: string;
  readonly tags: readonly WorkflowTag[];
  /** 1 (last) … 10 (first). */
  readonly priority: number;
}

/** A workflow task on the wire between nodes. */
export const workflowTaskSchema: z.ZodType<WorkflowTask> = z.object({
  taskId: z.string().min(1).max(MAX_TASK_ID_CHARS),
  workflowId: z.string().max(MAX_NAME_CHARS),
  name: z.string().max(MAX_NAME_CHARS),
  tags: z.array(z.enum(WORKFLOW_TAGS)).max(MAX_TAGS),
  priority: z.int().min(MIN_PRIORITY).max(MAX_PRIORITY),
});

/** What the hash policies look at. */
export function hashOf({ taskId, workflowId }: Pick<WorkflowTask, "taskId" | "workflowId">): string {
  return workflowTaskHash(taskId, workflowId);
}

/** A workflow task as far as the list of a queue shows it: enough to say whose it is. */
export interface WaitingTask {
  /** Of the queue; grows with the time of submission. */
  readonly queueId: string;
  readonly taskId: string;
  readonly workflowId: string;
  readonly hash: string;
  readonly priority: number;
  readonly placement: Placement;
  /** When it was submitted, in milliseconds since 1970. */
  readonly createdAtMs: number;
}

const [TRAVELS, STAYS] = ASSIGNED_TYPES;

/** How often a workflow task may be begun: whoever had it may have died, which is not the task's fault. */
const ATTEMPTS = MAX_ATTEMPTS;

const KEY = /^workflow:(\w+):(.+)$/s;

/**
 * The queue task of a workflow task.
 *
 * @param edition - what tells it from others of this id: how many came before and have ended, or a word
 */
export function queueTask(task: WorkflowTask, edition: number | string): NewTask {
  const { taskId, workflowId, name, tags, priority } = task;
  return {
    type: placementOf(tags) === "github" ? STAYS : TRAVELS,
    modelName: workflowId,
    payload: { task_id: taskId, name, tags },
    priority,
    maxAttempts: ATTEMPTS,
    // The store accepts a key once, whichever process of whichever node submits it.
    idempotencyKey: `workflow:${edition}:${taskId}`,
  };
}

/** A workflow task that a queue has under the id `queueId`. */
export function waitingFor(task: WorkflowTask, queueId: string, createdAtMs: number): WaitingTask {
  const { taskId, workflowId, priority, tags } = task;
  return {
    queueId,
    taskId,
    workflowId,
    hash: hashOf(task),
    priority,
    placement: placementOf(tags),
    createdAtMs,
  };
}

/** What the list of a queue says about a workflow task; undefined if it was not submitted as one. */
export function waitingTask(summary: TaskSummary): WaitingTask | undefined {
  const [, , taskId] = KEY.exec(summary.idempotencyKey ?? "") ?? [];
  if (taskId === undefined) return undefined;
  const { id: queueId, modelName: workflowId, priority, createdAtMs, type } = summary;
  const placement = type === STAYS ? "github" : "anywhere";
  return {
    queueId,
    taskId,
    workflowId,
    hash: hashOf({ taskId, workflowId }),
    priority,
    placement,
    createdAtMs,
  };
}

const payloadSchema = z.object({
  task_id: z.string(),
  name: z.string().default(""),
  tags: z.array(z.string()).default([]),
});

/** The workflow task in a queue task; undefined if it is none. */
export function workflowTask(
  task: Pick<Task, "modelName" | "payload" | "priority">,
): WorkflowTask | undefined {
  const parsed = payloadSchema.safeParse(task.payload);
  if (!parsed.success) return undefined;
  const { task_id: taskId, name, tags } = parsed.data;
  return {
    taskId,
    workflowId: task.modelName,
    name,
    tags: parseTags(tags),
    priority: task.priority ?? DEFAULT_PRIORITY,
  };
}
