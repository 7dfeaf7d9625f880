/** The scheduler on virtual time. MCPP_SIM_SEEDS sets how many seeds are tried. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { JsonObject } from "../../src/content/json.ts";
import { FAULTS, parseFaults, simulate, type SimulationReport } from "../../src/sim/index.ts";
import { replacing } from "../../src/sim/interpose.ts";
import type { TaskStore } from "../../src/task/store.ts";

const SEEDS = Number(process.env["MCPP_SIM_SEEDS"] ?? 6);
/** Small enough that many seeds fit into a test, large enough that faults meet tasks. */
const SMALL = { peers: 5, tasks: 40 };

async function linesOf(seed: number): Promise<{ report: SimulationReport; lines: readonly string[] }> {
  const lines: string[] = [];
  const report = await simulate({ ...SMALL, seed, onLine: (line) => lines.push(line) });
  return { report, lines };
}

/** A store in which a lease that was lost still counts: what fencing is there to prevent. */
function unfenced(store: TaskStore): TaskStore {
  const overwritten = new Map<string, JsonObject>();
  return replacing(store, {
    async settle(lease, settlement, nowMs) {
      const current = await store.leaseOf(lease.taskId);
      try {
        await store.settle(current ?? lease, settlement, nowMs);
      } catch (error) {
        if (settlement.kind !== "completed" || (await store.get(lease.taskId))?.state !== "completed")
          throw error;
        overwritten.set(lease.taskId, settlement.result);
      }
    },
    async get(taskId) {
      const task = await store.get(taskId);
      return task && { ...task, result: overwritten.get(taskId) ?? task.result };
    },
  });
}

/** A store that acknowledges a task in a while without keeping it. */
function forgetful(store: TaskStore): TaskStore {
  let inserts = 0;
  return replacing(store, {
    insert: async (drafts, nowMs) =>
      ++inserts % 5 === 0
        ? drafts.map(({ id }) => ({ taskId: id, created: true }))
        : store.insert(drafts, nowMs),
  });
}

/** A store that does not give back the tasks of those who went away. */
function possessive(store: TaskStore): TaskStore {
  return replacing(store, {
    claim: (claim, nowMs) => store.claim({ ...claim, leaseUntilMs: nowMs + 3_600_000 }, nowMs),
    renew: async () => undefined,
  });
}

describe("many peers on virtual time", () => {
  it(`keep every promise under every fault, with ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const report = await simulate({ ...SMALL, seed });
      assert.deepEqual(report.violations, [], `seed ${seed}`);
      assert.equal(report.completed, SMALL.tasks, `seed ${seed}`);
    }
  });

  it("keep them when each kind of fault comes alone, and when nothing goes wrong", async () => {
    for (const fault of FAULTS) {
      const { violations, completed } = await simulate({ ...SMALL, seed: 5, faults: parseFaults(fault) });
      assert.deepEqual([violations, completed], [[], SMALL.tasks], fault);
    }
    const quiet = await simulate({ ...SMALL, faults: parseFaults("none") });
    assert.deepEqual([quiet.violations, quiet.grants, quiet.network.lost], [[], SMALL.tasks, 0]);
  });

  it("do the same again from the same seed, line by line, and something else from another", async () => {
    const first = await linesOf(3);
    const second = await linesOf(3);
    assert.deepEqual(second.lines, first.lines);
    assert.equal(second.report.trace, first.report.trace);
    assert.notEqual((await linesOf(4)).report.trace, first.report.trace);
  });

  it("are caught within 20 seeds when results are accepted under leases that were lost", async () => {
    const caught: number[] = [];
    for (let seed = 1; seed <= 20 && caught.length === 0; seed++) {
      const { violations } = await simulate({ ...SMALL, seed, breakStore: unfenced });
      if (violations.some(({ promised }) => promised === "fenced" || promised === "once")) caught.push(seed);
    }
    assert.equal(caught.length, 1);
  });

  it("are caught when a queue forgets a task that it has acknowledged", async () => {
    const { violations } = await simulate({ ...SMALL, breakStore: forgetful });
    assert.ok(violations.some(({ promised }) => promised === "kept"));
  });

  it("are caught when a task stays with a peer that has gone", async () => {
    const { violations } = await simulate({ ...SMALL, breakStore: possessive });
    assert.ok(violations.some(({ promised }) => promised === "in-time"));
  });

  it("ends early when it is asked to", async () => {
    const asked = new AbortController();
    const ended = simulate({
      ...SMALL,
      signal: asked.signal,
      onLine: () => asked.abort(new Error("enough")),
    });
    await assert.rejects(ended, /enough/);
  });

  it("refuses faults that there are not, and sizes beyond its limits", async () => {
    assert.throws(() => parseFaults("delay,flood"), { code: "E_INVALID_INPUT" });
    await assert.rejects(simulate({ peers: 0 }), { code: "E_INVALID_INPUT" });
    await assert.rejects(simulate({ tasks: 1e9 }), { code: "E_INVALID_INPUT" });
  });
});
