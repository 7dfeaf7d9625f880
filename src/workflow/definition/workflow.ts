/**
 * What a workflow is: the one shape that YAML, JSON and code write, and the schema of it.
 *
 * Names are those of the file, so that a workflow looks the same wherever it is shown. Only durations change when it is
 * read: they become milliseconds.
 */
import * as z from "zod";
import { jsonObject, type JsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS, MAX_PRIORITY, MIN_PRIORITY } from "../../task/task.ts";
import { DURATION_ALLOWED, durationMs } from "./duration.ts";
import {
  MAX_DEPENDENCIES,
  MAX_EXPRESSION_CHARS,
  MAX_ID_CHARS,
  MAX_INPUTS,
  MAX_RETRIES,
  MAX_STEPS,
  MAX_TAGS,
  MAX_TEXT_CHARS,
  MAX_WIDTH,
} from "./limits.ts";

/** The types that an input can be declared to have. */
export const INPUT_TYPES = ["any", "string", "number", "boolean", "object", "array"] as const;

/** One of {@link INPUT_TYPES}. */
export type InputType = (typeof INPUT_TYPES)[number];

/** One declared input of a workflow. */
export interface WorkflowInput {
  /** Default `any`. */
  readonly type?: InputType | undefined;
  readonly description?: string | undefined;
  /** Its value if a run names none. Without one, the input must be given. */
  readonly default?: unknown;
}

/** What must have become of a step's dependencies for it to run. */
export type StepAfter = "completed" | "failed" | "ended";

/** One step: a task, or a question to a person. */
export interface WorkflowStep {
  readonly id: string;
  readonly description?: string | undefined;
  /** The type of the task. A step has either this or `approval`. */
  readonly task?: string | undefined;
  readonly model?: string | undefined;
  readonly payload?: JsonObject | undefined;
  /** The question of a step that waits for an answer. */
  readonly approval?: string | undefined;
  readonly depends_on?: readonly string[] | undefined;
  readonly after?: StepAfter | undefined;
  /** An expression; the step is skipped if it is false. */
  readonly when?: string | boolean | undefined;
  /** A list, or an expression for one. */
  readonly for_each?: string | readonly unknown[] | undefined;
  readonly width?: number | undefined;
  /** Attempts beyond the first. Default 0. */
  readonly retries?: number | undefined;
  /** Pause before each further attempt, in milliseconds. Default 0. */
  readonly retry_delay?: number | undefined;
  /** Limit of one attempt, or of the wait for an answer, in milliseconds. Default none. */
  readonly timeout?: number | undefined;
  readonly priority?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  /** Whether the run may complete although this step failed. Default false. */
  readonly allow_failure?: boolean | undefined;
  /** Whether it is meant to be connected to no other step. Default false. */
  readonly alone?: boolean | undefined;
}

/** A workflow. */
export interface Workflow {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputs?: Readonly<Record<string, WorkflowInput>> | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly priority?: number | undefined;
  readonly steps: readonly WorkflowStep[];
  /** What a run gives, with references. Default null. */
  readonly output?: unknown;
}

/** A name that can stand in an expression and in an idempotency key. */
const ID = /^[A-Za-z_][\w-]*$/;

const id = (what: string): z.ZodString =>
  z
    .string()
    .max(MAX_ID_CHARS)
    .regex(ID, "must begin with a letter or _ and have letters, digits, _ and - only")
    .describe(what);
const words = (what: string): z.ZodString => z.string().max(MAX_TEXT_CHARS).describe(what);

function duration(what: string): z.ZodType<number, number | string> {
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const ms = durationMs(value);
      if (ms !== undefined) return ms;
      context.addIssue({ code: "custom", message: DURATION_ALLOWED });
      return z.NEVER;
    })
    .describe(what);
}

const priority = z
  .int()
  .min(MIN_PRIORITY)
  .max(MAX_PRIORITY)
  .describe("1 (last) to 10 (first). Default: the workflow's, or 5");

const tags = z
  .array(z.string().min(1).max(MAX_ID_CHARS))
  .max(MAX_TAGS)
  .describe("Where it may run: `p2p-only`, `p2p-eligible`, `github-api`; other tags are kept");

const inputSchema: z.ZodType<WorkflowInput> = z.strictObject({
  type: z.enum(INPUT_TYPES).optional().describe("What a value must be. Default `any`"),
  description: words("What it is for").optional(),
  default: z
    .unknown()
    .optional()
    .describe("Its value if a run names none; without it, the input is required"),
});

const stepSchema: z.ZodType<WorkflowStep> = z.strictObject({
  id: id("Name of the step, unique in the workflow"),
  description: words("What the step is for").optional(),
  task: z
    .string()
    .min(1)
    .max(MAX_NAME_CHARS)
    .optional()
    .describe(
      "Type of the task, e.g. `tool.call` or `docker.execute`; any other waits for a worker that names it",
    ),
  model: z.string().max(MAX_NAME_CHARS).optional().describe("Which model is meant. Default none"),
  payload: jsonObject.optional().describe("Arguments of the task, with references. Default `{}`"),
  approval: words("Question to a person; the step waits for the answer. Instead of `task`").min(1).optional(),
  depends_on: z
    .array(z.string())
    .max(MAX_DEPENDENCIES)
    .optional()
    .describe("Steps that come first. Those that the step refers to come first in any case"),
  after: z
    .enum(["completed", "failed", "ended"])
    .optional()
    .describe(
      "Run when all dependencies have `completed` (default), when at least one has `failed`, or when all have `ended` in whatever way",
    ),
  when: z
    .union([z.boolean(), z.string().min(1).max(MAX_EXPRESSION_CHARS)])
    .optional()
    .describe("Expression; the step is skipped if it is false"),
  for_each: z
    .union([z.string().min(1).max(MAX_EXPRESSION_CHARS), z.array(z.unknown())])
    .optional()
    .describe(
      "A list, or an expression for one: a task for each `item`, whose results become a list in its order",
    ),
  width: z
    .int()
    .min(1)
    .max(MAX_WIDTH)
    .optional()
    .describe("How many items may be under way at once. Default 16"),
  retries: z.int().min(0).max(MAX_RETRIES).optional().describe("Attempts beyond the first. Default 0"),
  retry_delay: duration("Pause before each further attempt. Default 0").optional(),
  timeout: duration("Limit of one attempt, or of the wait for an answer. Default none").optional(),
  priority: priority.optional(),
  tags: tags.optional(),
  allow_failure: z
    .boolean()
    .optional()
    .describe("The run may complete although this step failed. Default false"),
  alone: z.boolean().optional().describe("It is meant to be connected to no other step. Default false"),
});

/** Accepts a {@link Workflow} as it is written; see validate.ts for what a schema cannot say. */
export const workflowSchema: z.ZodType<Workflow> = z.strictObject({
  name: id("Name of the workflow"),
  description: words("What it is for").optional(),
  inputs: z
    .record(z.string().regex(ID).max(MAX_ID_CHARS), inputSchema)
    .refine(
      (inputs) => Object.keys(inputs).length <= MAX_INPUTS,
      `a workflow has at most ${MAX_INPUTS} inputs`,
    )
    .optional()
    .describe("What a run can be told, by name"),
  tags: tags.optional(),
  priority: priority.optional(),
  steps: z.array(stepSchema).min(1).max(MAX_STEPS).describe("The steps, in any order"),
  output: z.unknown().optional().describe("What a run gives, with references to results. Default null"),
});

/** A step as the workflow's author wrote it: durations may be text. */
export type WorkflowStepText = Omit<WorkflowStep, "timeout" | "retry_delay"> & {
  readonly timeout?: number | string | undefined;
  readonly retry_delay?: number | string | undefined;
};

/** A workflow as its author wrote it. */
export type WorkflowText = Omit<Workflow, "steps"> & { readonly steps: readonly WorkflowStepText[] };
