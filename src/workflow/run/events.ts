/**
 * What is in the log of a run.
 *
 * Facts come from outside: tasks end, time passes, people answer. Decisions follow from all events before them (see
 * decide.ts) and are written with the facts that led to them, so that a reader can decide again and compare.
 */
import * as z from "zod";
import { jsonObject, type JsonObject } from "../../content/json.ts";
import { type TaskError, taskErrorSchema } from "../../task/task.ts";
import { type Workflow, workflowSchema } from "../definition/workflow.ts";

/** A run's state. `running` is the only one that it can leave by itself; a retry leads back to it from the others. */
export type RunState = "running" | "completed" | "failed" | "cancelled";

/** All states of a run. */
export const RUN_STATES = ["running", "completed", "failed", "cancelled"] as const;

/** One attempt of one step, or of one item of it. */
export interface AttemptKey {
  readonly step: string;
  /** Which item of a `for_each`, from 0; absent for a step without. */
  readonly item?: number | undefined;
  /** From 1, and never the same for two tasks of a step's item, also after a retry of the run. */
  readonly attempt: number;
}

/** How the task of an attempt ended. */
export type AttemptOutcome =
  | { readonly state: "completed"; readonly result: JsonObject }
  | { readonly state: "failed" | "cancelled"; readonly error: TaskError };

/** What came from outside. */
export type Fact =
  | {
      readonly kind: "started";
      readonly workflow: Workflow;
      readonly inputs: JsonObject;
      readonly by: string;
    }
  | (AttemptKey & { readonly kind: "submitted"; readonly taskId: string })
  | (AttemptKey & { readonly kind: "finished"; readonly outcome: AttemptOutcome })
  | {
      readonly kind: "timed_out";
      readonly step: string;
      readonly item?: number | undefined;
      readonly attempt: number;
    }
  | {
      readonly kind: "answered";
      readonly step: string;
      readonly approved: boolean;
      readonly comment: string;
      readonly value?: unknown;
      readonly by: string;
    }
  | { readonly kind: "cancel_requested"; readonly reason: string; readonly by: string }
  | { readonly kind: "retry_requested"; readonly from?: string | undefined; readonly by: string };

/** What follows. */
export type Decision =
  /** A `for_each` has so many items. */
  | { readonly kind: "expand"; readonly step: string; readonly items: number; readonly digest: string }
  /** The attempt is to become a task, whose work has this digest. */
  | (AttemptKey & { readonly kind: "submit"; readonly delayMs: number; readonly digest: string })
  /** The task of the attempt is to be cancelled. */
  | (AttemptKey & { readonly kind: "stop"; readonly why: string })
  /** The attempt cannot become a task: its payload has no value. */
  | (AttemptKey & { readonly kind: "refuse"; readonly error: TaskError })
  /** A person is asked. */
  | { readonly kind: "ask"; readonly step: string; readonly attempt: number; readonly question: string }
  | { readonly kind: "complete"; readonly step: string }
  | { readonly kind: "fail"; readonly step: string; readonly error: TaskError }
  | { readonly kind: "skip"; readonly step: string; readonly why: string }
  | { readonly kind: "cancel"; readonly step: string }
  | {
      readonly kind: "end";
      readonly state: Exclude<RunState, "running">;
      readonly output?: unknown;
      readonly error?: TaskError | undefined;
    };

/** What happened, without when. */
export type RunHappening = Fact | Decision;

/** One event of a log. */
export type RunEvent = RunHappening & {
  /** Place in the log, from 1. */
  readonly seq: number;
  /** By the clock of whoever wrote it, in milliseconds since 1970. Decisions do not depend on it. */
  readonly atMs: number;
};

const DECISIONS: ReadonlySet<string> = new Set([
  "expand",
  "submit",
  "stop",
  "refuse",
  "ask",
  "complete",
  "fail",
  "skip",
  "cancel",
  "end",
] satisfies readonly Decision["kind"][]);

/** Whether an event follows from those before it. */
export function isDecision(event: RunHappening): event is Decision {
  return DECISIONS.has(event.kind);
}

/** What an event says happened. */
export function happeningOf(event: RunEvent): RunHappening {
  const { seq: _, atMs: __, ...happening } = event;
  return happening;
}

const place = { seq: z.int().min(1), atMs: z.number() };
const step = z.string();
const key = { step, item: z.int().min(0).optional(), attempt: z.int().min(1) };
const text = z.string();
const outcome: z.ZodType<AttemptOutcome> = z.discriminatedUnion("state", [
  z.object({ state: z.literal("completed"), result: jsonObject }),
  z.object({ state: z.enum(["failed", "cancelled"]), error: taskErrorSchema }),
]);

/** Accepts a {@link RunEvent}. */
export const runEventSchema: z.ZodType<RunEvent> = z.union([
  z.object({ ...place, kind: z.literal("started"), workflow: workflowSchema, inputs: jsonObject, by: text }),
  z.object({ ...place, ...key, kind: z.literal("submitted"), taskId: text }),
  z.object({ ...place, ...key, kind: z.literal("finished"), outcome }),
  z.object({ ...place, ...key, kind: z.literal("timed_out") }),
  z.object({
    ...place,
    kind: z.literal("answered"),
    step,
    approved: z.boolean(),
    comment: text,
    value: z.unknown().optional(),
    by: text,
  }),
  z.object({ ...place, kind: z.literal("cancel_requested"), reason: text, by: text }),
  z.object({ ...place, kind: z.literal("retry_requested"), from: step.optional(), by: text }),
  z.object({ ...place, kind: z.literal("expand"), step, items: z.int().min(0), digest: text }),
  z.object({ ...place, ...key, kind: z.literal("submit"), delayMs: z.number(), digest: text }),
  z.object({ ...place, ...key, kind: z.literal("stop"), why: text }),
  z.object({ ...place, ...key, kind: z.literal("refuse"), error: taskErrorSchema }),
  z.object({ ...place, kind: z.literal("ask"), step, attempt: z.int(), question: text }),
  z.object({ ...place, kind: z.literal("complete"), step }),
  z.object({ ...place, kind: z.literal("fail"), step, error: taskErrorSchema }),
  z.object({ ...place, kind: z.literal("skip"), step, why: text }),
  z.object({ ...place, kind: z.literal("cancel"), step }),
  z.object({
    ...place,
    kind: z.literal("end"),
    state: z.enum(["completed", "failed", "cancelled"]),
    output: z.unknown().optional(),
    error: taskErrorSchema.optional(),
  }),
]);
