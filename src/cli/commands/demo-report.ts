/** What the demonstration shows while it runs, and what it has proven in the end. */
import type { JsonObject } from "../../content/json.ts";
import type { Output } from "../output.ts";
import { age, table } from "../table.ts";
import { number, rows, text } from "../tasks.ts";

/** How a task went, as seen by whoever submitted it. */
export interface Followed {
  readonly taskId: string;
  /** From just before the submit to the result. */
  readonly tookMs: number;
}

/** What the demonstration has proven, in the shape of `--json`. */
export interface DemoReport {
  readonly ok: boolean;
  readonly tasks: number;
  readonly completed_once: number;
  /** Ids of tasks that did not complete. */
  readonly missing: readonly string[];
  /** Ids of tasks whose result was accepted more than once, or by a lease that was not the last. */
  readonly repeated: readonly string[];
  /** How many tasks the killed worker had begun and another one finished. */
  readonly taken_over: number;
  readonly by_worker: Readonly<Record<string, number>>;
  readonly killed: string;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly total_ms: number;
}

/** What {@link report} judges by. */
export interface DemoFacts {
  /** The queue's own records of all tasks, with their histories. */
  readonly records: readonly JsonObject[];
  readonly followed: readonly Followed[];
  readonly submitted: readonly string[];
  readonly killed: string;
  readonly totalMs: number;
}

/** Judges by the queue's records: a result counts once if one `completed` event is there, under the last lease given. */
export function report({ records, followed, submitted, killed, totalMs }: DemoFacts): DemoReport {
  const byId = new Map(records.map((record) => [text(record, "task_id"), record]));
  const missing = submitted.filter((id) => text(byId.get(id) ?? {}, "status") !== "completed");
  const repeated = submitted.filter((id) => !missing.includes(id) && !wasAcceptedOnce(byId.get(id) ?? {}));
  const once = submitted.filter((id) => !missing.includes(id) && !repeated.includes(id));
  const took = followed.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return {
    ok: once.length === submitted.length && new Set(submitted).size === submitted.length,
    tasks: submitted.length,
    completed_once: once.length,
    missing,
    repeated,
    taken_over: records.filter((record) => wasTakenOver(record, killed)).length,
    by_worker: countByWorker(records),
    killed,
    p50_ms: percentile(took, 0.5),
    p99_ms: percentile(took, 0.99),
    total_ms: Math.round(totalMs),
  };
}

/** The report as people read it. */
export function reportText(result: DemoReport, out: Output): string {
  const {
    tasks,
    completed_once: once,
    missing,
    repeated,
    taken_over: takenOver,
    by_worker: byWorker,
    killed,
  } = result;
  const verdict = result.ok
    ? out.style("green", `all ${tasks} tasks were completed exactly once`)
    : out.style("red", `${once} of ${tasks} tasks were completed exactly once`);
  const workers = Object.entries(byWorker).map(([name, count]) => `${name} did ${count}`);
  return [
    verdict,
    ...(missing.length > 0 ? [`missing:     ${missing.join(", ")}`] : []),
    ...(repeated.length > 0 ? [`done twice:  ${repeated.join(", ")}`] : []),
    `work:        ${workers.join(", ")}`,
    `taken over:  ${takenOver} that ${killed} had begun when it was killed`,
    `time:        p50 ${result.p50_ms} ms, p99 ${result.p99_ms} ms from submit to result; ${age(result.total_ms)} in all`,
  ].join("\n");
}

/** The table that is shown while the tasks run. */
export function progressTable(
  tasks: readonly JsonObject[],
  names: readonly string[],
  killed: string | undefined,
): string[] {
  const count = (status: string, worker?: string): string =>
    String(
      tasks.filter(
        (task) =>
          text(task, "status") === status &&
          (worker === undefined || text(task, "assigned_worker") === worker),
      ).length,
    );
  const lines = names.map((name) => [
    name,
    name === killed ? "killed" : "running",
    count("running", name),
    count("completed", name),
  ]);
  const all = ["all", `${count("queued")} queued`, count("running"), count("completed")];
  return table([...lines, all], ["WORKER", "STATE", "HOLDS", "DONE"]).split("\n");
}

function wasAcceptedOnce(record: JsonObject): boolean {
  const events = rows(record, "history");
  const completed = events.filter((event) => text(event, "event") === "completed");
  const tokens = events
    .filter((event) => text(event, "event") === "claimed")
    .map((event) => number(event, "lease_token") ?? 0);
  const [only] = completed;
  return completed.length === 1 && only !== undefined && number(only, "lease_token") === Math.max(...tokens);
}

/** Whether the killed worker's lease on the task ran out; a task that it had handed back was not taken over. */
function wasTakenOver(record: JsonObject, killed: string): boolean {
  const events = rows(record, "history");
  const expired = events.some((event, index) => {
    const before = events.slice(0, index).findLast((earlier) => text(earlier, "event") === "claimed");
    return text(event, "event") === "expired" && before !== undefined && text(before, "worker_id") === killed;
  });
  return expired && text(record, "status") === "completed" && text(record, "assigned_worker") !== killed;
}

function countByWorker(records: readonly JsonObject[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const record of records) {
    if (text(record, "status") !== "completed") continue;
    const worker = text(record, "assigned_worker");
    counts[worker] = (counts[worker] ?? 0) + 1;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => a.localeCompare(b)));
}

/** The nearest-rank percentile, in whole milliseconds; 0 of nothing. */
function percentile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
}
