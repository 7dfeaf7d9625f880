/** Old operations on tasks for those who submit and watch them. */
import type { JsonObject } from "../../../content/json.ts";
import { jsonBytes } from "../../../content/json.ts";
import { TaskNotFoundError } from "../../../errors.ts";
import {
  DEFAULT_LIST_LIMIT,
  DEFAULT_WAIT_MS,
  MAX_LIST_LIMIT,
  MAX_WAIT_MS,
  type TaskFilter,
  type TaskQueue,
} from "../../../task/queue.ts";
import { type OldTaskRow, oldTaskRow } from "../../../task/row.ts";
import { settingsIn } from "../../../task/payload-settings.ts";
import { MAX_NAME_CHARS, TASK_STATES, type TaskState } from "../../../task/task.ts";
import { firstText, integerIn, isTruthy, secondsIn, textOf, typesOf, wrapped } from "./fields.ts";
import { OLD_WIRE_HOLDER, type Operation, refused } from "./operation.ts";

/** Old clients stop reading at 1 MiB; a list of more is paged, with room left for the rest of the answer. */
export const MAX_LIST_BYTES: number = 1024 * 1024 - 4096;
/** How many whole tasks are read at once. */
const READ_BATCH = 50;

const submit: Operation = {
  names: ["submit"],
  grant: () => "submit",
  async run(request, { node, signal }) {
    const payload = wrapped("payload", request["payload"]);
    const type = textOf(request["task_type"]) || "text-generation";
    const task = { type, modelName: textOf(request["model_name"]), payload, ...settingsIn(payload) };
    const [receipt] = await node.queue.as(OLD_WIRE_HOLDER).submit([task], { signal });
    return { task_id: receipt?.taskId };
  },
};

const cancel: Operation = {
  names: ["cancel", "task.cancel"],
  grant: () => "submit",
  async run(request, { node, signal }) {
    const taskId = textOf(request["task_id"]);
    if (taskId === "") return refused("missing_task_id");
    const reason = textOf(request["reason"]) || "cancelled on request";
    await node.queue.as(OLD_WIRE_HOLDER).cancel(taskId, reason, { signal });
    return { task_id: taskId };
  },
};

const get: Operation = {
  names: ["get"],
  grant: () => "observe",
  async run(request, { node, signal }) {
    const taskId = knownForm(request);
    const task = taskId && (await node.queue.as(OLD_WIRE_HOLDER).get(taskId, { signal }));
    return { task: task ? oldTaskRow(task) : null };
  },
};

const wait: Operation = {
  names: ["wait"],
  grant: () => "observe",
  async run(request, { node, signal }) {
    const timeoutMs = (secondsIn(request["timeout_s"]) ?? DEFAULT_WAIT_MS / 1000) * 1000;
    if (Number.isNaN(timeoutMs)) return { ...refused("internal_error"), detail: "timeout_s is no number" };
    const taskId = knownForm(request);
    if (taskId === undefined) return { task: null };
    try {
      const boundedMs = Math.min(Math.max(timeoutMs, 0), MAX_WAIT_MS);
      const { task } = await node.queue.as(OLD_WIRE_HOLDER).wait(taskId, boundedMs, { signal });
      return { task: oldTaskRow(task) };
    } catch (error) {
      if (error instanceof TaskNotFoundError) return { task: null };
      throw error;
    }
  },
};

const list: Operation = {
  names: ["list", "tasks.list", "queue.list"],
  grant: () => "observe",
  async run(request, { node, signal }) {
    const state = textOf(request["status"]).toLowerCase();
    if (state !== "" && !isState(state)) return { tasks: [] };
    const types = typesOf(request["task_types"]);
    const cursor = firstText(request, "cursor");
    const filter = {
      ...(state !== "" && { state }),
      ...(types.length > 0 && { types }),
      ...(cursor !== "" && { cursor }),
    };
    return rowsWithin(node.queue.as(OLD_WIRE_HOLDER), filter, limitOf(request["limit"]), signal);
  },
};

/** The operations of this file. */
export const taskOperations: readonly Operation[] = [submit, cancel, get, wait, list];

/** An id that a queue could know; undefined for none and for what no id looks like. */
function knownForm(request: JsonObject): string | undefined {
  const taskId = textOf(request["task_id"]);
  return taskId === "" || taskId.length > MAX_NAME_CHARS ? undefined : taskId;
}

function isState(status: string): status is TaskState {
  return TASK_STATES.some((state) => state === status);
}

function limitOf(value: unknown): number {
  const limit = isTruthy(value) ? (integerIn(value) ?? 0) : 0;
  return Math.min(Math.max(limit || DEFAULT_LIST_LIMIT, 1), MAX_LIST_LIMIT);
}

/** Rows up to {@link MAX_LIST_BYTES}, at least one; `next_cursor` tells where the rest begins, and is absent if there is none. */
async function rowsWithin(
  queue: TaskQueue,
  filter: TaskFilter,
  limit: number,
  signal: AbortSignal,
): Promise<JsonObject> {
  const tasks: OldTaskRow[] = [];
  let { cursor } = filter;
  let bytes = 0;
  while (tasks.length < limit) {
    const from = { ...filter, cursor, limit: Math.min(READ_BATCH, limit - tasks.length) };
    const page = await queue.list(from, { signal });
    const whole = await Promise.all(page.tasks.map(({ id }) => queue.get(id, { signal })));
    let taken = 0;
    for (const task of whole) {
      const row = task && oldTaskRow(task);
      bytes += row ? jsonBytes(row) : 0;
      if (bytes > MAX_LIST_BYTES && tasks.length > 0) break;
      if (row) tasks.push(row);
      taken += 1;
    }
    if (taken < whole.length) return { tasks, next_cursor: await cursorAfter(queue, from, taken, signal) };
    cursor = page.nextCursor;
    if (cursor === undefined) return { tasks };
  }
  return { tasks, next_cursor: cursor };
}

/** The cursor behind the first `taken` tasks of a page. */
async function cursorAfter(
  queue: TaskQueue,
  from: TaskFilter,
  taken: number,
  signal: AbortSignal,
): Promise<string | null> {
  if (taken === 0) return from.cursor ?? null;
  return (await queue.list({ ...from, limit: taken }, { signal })).nextCursor ?? null;
}
