/** What every engine's OutboxStore must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutboxEntry } from "../../../src/task/outbox.ts";
import type { Stores } from "../../../src/store/index.ts";
import type { OpenStores } from "./fixtures.ts";

function entry(taskId: string, parts: Partial<OutboxEntry> = {}): OutboxEntry {
  const outcome = { kind: "completed", result: { of: taskId } } as const;
  return { queue: "peer", lease: { taskId, token: 1 }, outcome, createdAtMs: 0, ...parts };
}

/** What is told of an entry without reading it. */
function keyOf({ queue, lease, createdAtMs }: OutboxEntry): object {
  return { queue, lease, createdAtMs };
}

/** Everything that waits for a queue, whole, oldest first. */
async function entries({ outbox }: Stores, queue: string): Promise<readonly unknown[]> {
  const keys = await outbox.keys(queue, 99);
  return Promise.all(keys.map(({ lease }) => outbox.get(queue, lease)));
}

export function outboxStoreConformance(open: OpenStores): void {
  describe("outbox store", () => {
    it("keeps what was put, and tells its keys, oldest first, up to the limit", async () => {
      await using stores = await open();
      const error = { code: "E_X", message: "m", failureClass: "internal" };
      const failure = { error, retry: true, retryAfterMs: 5, result: { part: 1 } };
      const late = entry("late", { createdAtMs: 9 });
      const early = entry("early", { createdAtMs: 1, outcome: { kind: "failed", failure } });
      for (const one of [late, early, entry("same", { createdAtMs: 9 })]) await stores.outbox.put(one);
      assert.deepEqual(await entries(stores, "peer"), [early, late, entry("same", { createdAtMs: 9 })]);
      assert.deepEqual(await stores.outbox.keys("peer", 2), [keyOf(early), keyOf(late)]);
      assert.deepEqual(await stores.outbox.get("peer", { taskId: "late", token: 2 }), undefined);
    });

    it("tells for which queues something waits", async () => {
      await using stores = await open();
      assert.deepEqual(await stores.outbox.queues(), []);
      for (const queue of ["b", "a", "b"]) {
        for (const id of ["1", "2"]) await stores.outbox.put(entry(id, { queue }));
      }
      assert.deepEqual((await stores.outbox.queues()).toSorted(), ["a", "b"]);
    });

    it("replaces the earlier entry of a task of the same queue only", async () => {
      await using stores = await open();
      const later = entry("a", { lease: { taskId: "a", token: 2 }, createdAtMs: 5 });
      await stores.outbox.put(entry("a"));
      await stores.outbox.put(entry("a", { queue: "other" }));
      await stores.outbox.put(later);
      assert.deepEqual(await entries(stores, "other"), [entry("a", { queue: "other" })]);
      assert.deepEqual(await entries(stores, "peer"), [later]);
    });

    it("removes only the entry of the lease that was delivered", async () => {
      await using stores = await open();
      await stores.outbox.put(entry("a", { lease: { taskId: "a", token: 2 } }));
      await stores.outbox.remove("peer", { taskId: "a", token: 1 });
      await stores.outbox.remove("other", { taskId: "a", token: 2 });
      assert.equal((await entries(stores, "peer")).length, 1);
      await stores.outbox.remove("peer", { taskId: "a", token: 2 });
      await stores.outbox.remove("peer", { taskId: "a", token: 2 });
      assert.deepEqual(await entries(stores, "peer"), []);
    });
  });
}
