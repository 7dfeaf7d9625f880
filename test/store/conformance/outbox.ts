/** What every engine's OutboxStore must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OutboxEntry } from "../../../src/task/outbox.ts";
import type { OpenStores } from "./fixtures.ts";

function entry(taskId: string, parts: Partial<OutboxEntry> = {}): OutboxEntry {
  const outcome = { kind: "completed", result: { of: taskId } } as const;
  return { queue: "peer", lease: { taskId, token: 1 }, outcome, createdAtMs: 0, ...parts };
}

export function outboxStoreConformance(open: OpenStores): void {
  describe("outbox store", () => {
    it("keeps what was put, oldest first, up to the limit", async () => {
      await using stores = await open();
      const error = { code: "E_X", message: "m", failureClass: "internal" };
      const failure = { error, retry: true, retryAfterMs: 5, result: { part: 1 } };
      const late = entry("late", { createdAtMs: 9 });
      const early = entry("early", { createdAtMs: 1, outcome: { kind: "failed", failure } });
      for (const one of [late, early, entry("same", { createdAtMs: 9 })]) await stores.outbox.put(one);
      assert.deepEqual(await stores.outbox.list(2), [early, late]);
      assert.equal((await stores.outbox.list(9)).length, 3);
    });

    it("replaces the earlier entry of a task of the same queue only", async () => {
      await using stores = await open();
      const later = entry("a", { lease: { taskId: "a", token: 2 }, createdAtMs: 5 });
      await stores.outbox.put(entry("a"));
      await stores.outbox.put(entry("a", { queue: "other" }));
      await stores.outbox.put(later);
      assert.deepEqual(await stores.outbox.list(9), [entry("a", { queue: "other" }), later]);
    });

    it("removes only the entry of the lease that was delivered", async () => {
      await using stores = await open();
      await stores.outbox.put(entry("a", { lease: { taskId: "a", token: 2 } }));
      await stores.outbox.remove("peer", { taskId: "a", token: 1 });
      await stores.outbox.remove("other", { taskId: "a", token: 2 });
      assert.equal((await stores.outbox.list(9)).length, 1);
      await stores.outbox.remove("peer", { taskId: "a", token: 2 });
      await stores.outbox.remove("peer", { taskId: "a", token: 2 });
      assert.deepEqual(await stores.outbox.list(9), []);
    });
  });
}
