/**
 * Our store with few and with many tasks queued: `fill` makes a queue, `claims` measures one round of claims on it.
 *
 * Claims are made 64 at a time, so that the fsync of the group commit is spread thin and the search shows. Each task
 * is completed and replaced outside of the measured time.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { openSqliteStores, type Stores } from "../../src/store/index.ts";
import type { StoredClaim, TaskDraft } from "../../src/task/store.ts";
import { answerParent, cpuUs } from "../shared/child.ts";
import type { Sample } from "../shared/sample.ts";
import { PAYLOAD } from "./queue-driver.ts";

const [folder = ""] = process.argv.slice(2);
const AT_ONCE = 64;
const LANES = 5;
/** Priorities go round from 1 to this. */
const PRIORITIES = 10;

/** Rows as the store writes them, a hundred times as fast: numbers 1 to :n, each a task and its payload. */
const FILL = `
  CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY);
  WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < %N%)
  INSERT INTO numbers SELECT n FROM count;
  INSERT INTO tasks (id, type, model_name, lane, priority, phase, max_attempts, ready_ms, digest, created_ms, updated_ms)
  SELECT printf('%032x', n), 'type-' || (n % ${LANES}), '', 'type-' || (n % ${LANES}), 1 + n % ${PRIORITIES}, 0, 3, 0,
         printf('%064x', n), 0, 0 FROM numbers;
  INSERT INTO payloads (seq, payload) SELECT seq, '${JSON.stringify(PAYLOAD)}' FROM tasks;
  UPDATE task_counts SET n = %N% WHERE phase = 0;`;

const queues = new Map<number, Stores>();
let lastId = 0;

async function fill(queued: number): Promise<void> {
  const path = join(folder, `${queued}.db`);
  // Opened once for its schema.
  await (await openSqliteStores({ path })).close();
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA synchronous = OFF; BEGIN; ${FILL.replaceAll("%N%", String(queued))}; COMMIT;`);
  db.close();
  queues.set(queued, await openSqliteStores({ path }));
}

async function claims(queued: number): Promise<Sample> {
  const stores = queues.get(queued);
  if (!stores) throw new Error(`no queue of ${queued} was made`);
  const request = {
    workerId: "w",
    holder: "h",
    choice: { lanes: [], ranges: [{ from: "" }] },
    maxBytes: 1e9,
    limit: 1,
    leaseUntilMs: 1e15,
  };
  const cpuBefore = cpuUs();
  const startedAt = performance.now();
  const got = await Promise.all(
    Array.from({ length: AT_ONCE }, async () => stores.tasks.claim(request, Date.now())),
  );
  const ms = performance.now() - startedAt;
  const cpu = cpuUs() - cpuBefore;
  await Promise.all(got.flat().map((one) => replace(stores, one)));
  return { operations: AT_ONCE, ms, cpuUs: cpu, p50Ms: ms / AT_ONCE, p99Ms: ms / AT_ONCE };
}

async function replace({ tasks }: Stores, { task, token }: StoredClaim): Promise<void> {
  const nowMs = Date.now();
  await tasks.settle({ taskId: task.id, token, holder: "h" }, { kind: "completed", result: {} }, nowMs);
  const id = `new-${++lastId}`;
  const draft: TaskDraft = {
    id,
    type: task.type,
    modelName: "",
    payload: task.payload,
    priority: task.priority,
    maxAttempts: 3,
    digest: id,
    lane: task.type,
  };
  await tasks.insert([draft], nowMs);
}

answerParent({
  fill: (queued) => fill(z.int().parse(queued)),
  claims: (queued) => claims(z.int().parse(queued)),
});
