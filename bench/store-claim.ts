/**
 * What a claim costs with few and with many tasks queued: node bench/store-claim.ts [queued…]
 *
 * Claims are made 64 at a time, so that the fsync of the group commit is spread thin and the search shows. Each
 * task is completed and replaced outside of the measured time. The last queue of each engine has as many lanes again
 * that the claims do not take. Prints the median per claim, and the ratio of the last queue to the first.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMemoryStores, openSqliteStores, type Stores } from "../src/store/index.ts";
import type { StoredClaim, TaskDraft } from "../src/task/store.ts";

const ROUNDS = 60;
const AT_ONCE = 64;
const FILL_BATCH = 1000;
const OTHER_LANES = 100_000;
const LANES = Array.from({ length: 5 }, (_, i) => `type-${i}`);
const choice = { lanes: LANES, ranges: [] };

const sizes = process.argv.slice(2).map(Number);
const queues = sizes.length > 0 ? sizes : [1000, 100_000, 1_000_000];
const folder = mkdtempSync(join(tmpdir(), "mcpp-bench-"));

function draft(i: number): TaskDraft {
  const lane = LANES[i % LANES.length] ?? "";
  const payload = { text: "x".repeat(180) };
  const priority = 1 + (i % 10);
  return { id: `t${i}`, type: lane, modelName: "", payload, priority, maxAttempts: 3, digest: `${i}`, lane };
}

/** Tasks of as many lanes, none of which the claims take. */
async function fillOthers({ tasks }: Stores, count: number): Promise<void> {
  for (let from = 0; from < count; from += FILL_BATCH) {
    await tasks.insert(
      Array.from({ length: Math.min(FILL_BATCH, count - from) }, (_, i) => {
        const name = `other-${from + i}`;
        return { ...draft(0), id: name, digest: name, lane: name };
      }),
      0,
    );
  }
}

async function fill({ tasks }: Stores, count: number, first = 0): Promise<void> {
  for (let from = first; from < first + count; from += FILL_BATCH) {
    const size = Math.min(FILL_BATCH, first + count - from);
    await tasks.insert(
      Array.from({ length: size }, (_, i) => draft(from + i)),
      0,
    );
  }
}

/** The median cost of one claim, in microseconds. */
async function claimCost(stores: Stores, queued: number): Promise<number> {
  const { tasks } = stores;
  const costs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const request = { workerId: "w", holder: "h", choice, limit: 1, maxBytes: 1e9, leaseUntilMs: 1e12 };
    const startedAtMs = performance.now();
    const claims = await Promise.all(Array.from({ length: AT_ONCE }, () => tasks.claim(request, 0)));
    costs.push(((performance.now() - startedAtMs) * 1000) / AT_ONCE);
    await Promise.all(claims.flat().map((claim) => complete(stores, claim)));
    await fill(stores, AT_ONCE, queued + round * AT_ONCE);
  }
  return costs.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? Number.NaN;
}

function complete({ tasks }: Stores, { task, token }: StoredClaim): Promise<void> {
  return tasks.settle({ taskId: task.id, token, holder: "h" }, { kind: "completed", result: {} }, 0);
}

async function measure(engine: string, open: (path: string) => Promise<Stores>): Promise<void> {
  const medians: number[] = [];
  for (const queued of queues) {
    const path = join(folder, `${queued}.db`);
    const stores = await open(path);
    const fillStartedAtMs = performance.now();
    await fill(stores, queued);
    const fillMs = performance.now() - fillStartedAtMs;
    const median = await claimCost(stores, queued);
    medians.push(median);
    await stores.close();
    const openStartedAtMs = performance.now();
    await (await open(path)).close();
    const openMs = performance.now() - openStartedAtMs;
    const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    console.log(
      `${engine} ${queued} queued: ${median.toFixed(1)} µs a claim; filled in ${fillMs.toFixed(0)} ms, ` +
        `${(bytes / 1e6).toFixed(0)} MB, opened in ${openMs.toFixed(0)} ms`,
    );
  }
  const crowded = await open(join(folder, "crowded.db"));
  await fill(crowded, 1000);
  await fillOthers(crowded, OTHER_LANES);
  const median = await claimCost(crowded, 1000);
  await crowded.close();
  console.log(`${engine} 1000 queued beside ${OTHER_LANES} lanes of others: ${median.toFixed(1)} µs a claim`);
  console.log(`${engine} ratio: ${((medians.at(-1) ?? Number.NaN) / (medians[0] ?? Number.NaN)).toFixed(2)}`);
}

try {
  await measure("memory", async () => openMemoryStores());
  await measure("sqlite", (path) => openSqliteStores({ path }));
} finally {
  rmSync(folder, { recursive: true });
}
