/** The wall clock jumps by an hour, either way, while tasks are leased, delayed and waited for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openMemoryStores, openSqliteStores, type Stores } from "../../src/store/index.ts";
import { type Bench, claimOne, code, submitOne, withQueue } from "../task/bench.ts";
import { tempFolder } from "../store/temp-folder.ts";

const HOUR_MS = 3_600_000;
/** A queue looks at its clock at least so often. */
const GLANCE_MS = 60_000;

type Opener = (folder: string) => Promise<Stores>;

const engines: readonly (readonly [string, Opener])[] = [
  ["memory", async () => openMemoryStores()],
  ["sqlite", (folder) => openSqliteStores({ path: join(folder, "queue.db") })],
];

for (const [engine, open] of engines) {
  const withJump = async (
    jumpMs: number,
    test: (bench: Bench, jump: () => void) => Promise<void>,
  ): Promise<void> => {
    using folder = tempFolder();
    await using stores = await open(folder.path);
    await withQueue((bench) => test(bench, () => bench.clock.shiftEpoch(jumpMs)), { store: stores.tasks });
  };

  for (const jumpMs of [HOUR_MS, -HOUR_MS]) {
    describe(
      `a clock that jumps by ${jumpMs / HOUR_MS} h, on the engine ${engine}`,
      { timeout: 30_000 },
      () => {
        it("lets a result be accepted once, from the worker that has the task", () =>
          withJump(jumpMs, async ({ queue }, jump) => {
            const id = await submitOne(queue);
            const { lease } = await claimOne(queue);
            jump();
            await queue.complete(lease, { n: 1 });
            await assert.rejects(queue.fail({ ...lease, token: 2 }, { error }), code("E_LEASE_LOST"));
            assert.deepEqual((await queue.get(id))?.result, { n: 1 });
          }));

        it("lets a lease be renewed, by the new time", () =>
          withJump(jumpMs, async ({ queue, clock }, jump) => {
            await submitOne(queue);
            const { lease } = await claimOne(queue);
            jump();
            assert.equal(await queue.renew(lease, 5000), clock.epochMs() + 5000);
            clock.jump(4999);
            await queue.complete(lease, {});
          }));

        it("ends a wait when its time is up, by the clock that does not jump", () =>
          withJump(jumpMs, async ({ queue, clock }, jump) => {
            const id = await submitOne(queue);
            const wait = queue.wait(id, 10_000);
            jump();
            const startedAtMs = clock.now();
            const { finished } = await clock.autojump(wait);
            assert.equal(finished, false);
            assert.equal(clock.now() - startedAtMs, 10_000);
          }));

        it("gives out every task in the end: delayed, left by its worker, or ready", () =>
          withJump(jumpMs, async ({ queue, clock }, jump) => {
            await submitOne(queue, { type: "left" });
            await queue.claim({ workerId: "dies", leaseMs: 30_000 });
            await submitOne(queue, { type: "delayed", delayMs: 10_000 });
            await submitOne(queue, { type: "ready" });
            jump();
            const given: string[] = [];
            const startedAtMs = clock.now();
            while (given.length < 3) {
              const claimed = await clock.autojump(queue.claim({ workerId: "w", waitMs: 60_000, limit: 3 }));
              for (const { task, lease } of claimed) {
                given.push(task.type);
                await queue.complete(lease, {});
              }
            }
            assert.deepEqual(given.toSorted(), ["delayed", "left", "ready"]);
            const lateMs = jumpMs < 0 ? -jumpMs : 0;
            assert.ok(clock.now() - startedAtMs <= 30_000 + lateMs + GLANCE_MS);
          }));
      },
    );
  }
}

const error = { code: "E_X", message: "", failureClass: "internal" };
