/** What those who wait for a task's news, or for the end of a lease, look at. */
import { TaskNotFoundError } from "../errors.ts";
import type { Seen } from "./changes.ts";
import type { FollowPoint, TaskNews } from "./queue.ts";
import type { HeldLease, TaskStore } from "./store.ts";
import { isFinished } from "./task.ts";

/** Whether there is something new about a task since `from`, and what. @throws TaskNotFoundError */
export async function lookForNews(
  store: Pick<TaskStore, "news">,
  taskId: string,
  from: FollowPoint,
): Promise<Seen<TaskNews>> {
  const news = await store.news(taskId, from.lines);
  if (!news) throw new TaskNotFoundError(taskId);
  const { task, logs, lines } = news;
  const finished = isFinished(task.state);
  const value: TaskNews = {
    task,
    ...(news.progress && { progress: news.progress }),
    logs,
    missed: Math.max(0, lines - from.lines - logs.length),
    point: { lines, changedAtMs: task.updatedAtMs },
    finished,
  };
  return { done: finished || lines > from.lines || task.updatedAtMs !== from.changedAtMs, value };
}

/** Whether a lease does not hold any more. */
export async function lookAtLease(
  store: Pick<TaskStore, "leaseOf">,
  { taskId, token, holder }: HeldLease,
): Promise<Seen<boolean>> {
  const found = await store.leaseOf(taskId);
  const value = found?.token !== token || found.holder !== holder;
  return { done: value, value };
}
