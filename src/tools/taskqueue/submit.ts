import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_ATTEMPTS, MAX_DELAY_MS, MAX_NAME_CHARS, MAX_PRIORITY, MIN_PRIORITY } from "../../task/task.ts";
import { adds } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { nameField, submitOne, submittedSchema } from "./new-task.ts";
import { settingsIn } from "../../task/payload-settings.ts";
import { deadlineOf, targetFields, timeoutField } from "./target.ts";

/** Puts a task on a queue. */
export const submit: Tool = defineTool({
  name: "p2p_taskqueue_submit",
  description:
    "Put a durable task on a queue and return its id. Use it for work that may take long or must not be lost, then call p2p_taskqueue_wait_task with the id; the task survives restarts of every node.",
  input: z.strictObject({
    task_type: nameField
      .min(1)
      .describe("What kind of work, e.g. text-generation, chat, embedding, tool.call, docker.execute, echo"),
    model_name: nameField.describe(
      "Which model is meant, as list_peers shows them; only a worker that has it gets the task. Empty: any model",
    ),
    payload: jsonObject.describe(
      "Arguments of the work, as its worker expects them: prompt, max_tokens and temperature for text-generation, messages for chat, input for embedding. session_id prefers the worker that had the session last; sticky_worker_id names the one worker that may have the task",
    ),
    priority: z
      .int()
      .min(MIN_PRIORITY)
      .max(MAX_PRIORITY)
      .optional()
      .describe("1 (last) to 10 (first); default 5"),
    delay_s: z
      .number()
      .min(0)
      .max(MAX_DELAY_MS / 1000)
      .optional()
      .describe("Do not begin before so many seconds"),
    max_attempts: z
      .int()
      .min(1)
      .max(MAX_ATTEMPTS)
      .optional()
      .describe("How often to try before giving up; default 3"),
    idempotency_key: z
      .string()
      .min(1)
      .max(MAX_NAME_CHARS)
      .optional()
      .describe("The same key gives the same task, so a repeated call does no harm"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: submittedSchema,
  annotations: adds("Submit a task"),
  grant: "submit",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const { priority, delay_s: delayS, max_attempts: maxAttempts, idempotency_key: idempotencyKey } = input;
    const task = {
      type: input.task_type,
      modelName: input.model_name,
      payload: input.payload,
      ...settingsIn(input.payload),
      ...(priority !== undefined && { priority }),
      ...(delayS !== undefined && { delayMs: delayS * 1000 }),
      ...(maxAttempts !== undefined && { maxAttempts }),
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
    return submitOne(task, input, context);
  },
});
