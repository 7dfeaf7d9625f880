/** What every engine does when it is closed. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { claimOf, draft, type OpenStores } from "./fixtures.ts";

const closed = { code: "E_STORE_CLOSED" };

export function lifetimeConformance(open: OpenStores): void {
  describe("closing", () => {
    it("finishes what was asked before, and may be repeated", async () => {
      const stores = await open();
      const inserting = stores.tasks.insert([draft("a")], 0);
      const closing = stores.close();
      assert.deepEqual(await inserting, [{ taskId: "a", created: true }]);
      await closing;
      await stores.close();
    });

    it("refuses everything afterwards", async () => {
      const stores = await open();
      const { tasks, outbox, cache } = stores;
      await stores.close();
      const lease = { taskId: "a", token: 1, holder: "h" };
      const calls = [
        () => tasks.insert([draft("a")], 0),
        () => tasks.claim(claimOf(), 0),
        () => tasks.renew(lease, 1, 0),
        () => tasks.note(lease, {}, 0),
        () => tasks.settle(lease, { kind: "released", reason: "" }, 0),
        () => tasks.cancel("a", "", 0),
        () => tasks.get("a"),
        () => tasks.leaseOf("a"),
        () => tasks.list({ limit: 1 }),
        () => tasks.settleDue(0),
        () => tasks.stats(0),
        () => tasks.prune(0, 1),
        () => outbox.put({ queue: "q", lease, outcome: { kind: "completed", result: {} }, createdAtMs: 0 }),
        () => outbox.queues(),
        () => outbox.keys("q", 1),
        () => outbox.get("q", lease),
        () => outbox.remove("q", lease),
        () => cache.get("k", 0),
        () => cache.set("k", 1, undefined, 0),
        () => cache.delete("k", 0),
        () => cache.stats(0),
      ];
      for (const call of calls) await assert.rejects(call(), closed);
    });
  });
}
