import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import {
  abortable,
  cancelScope,
  checkpoint,
  failAfter,
  moveOnAfter,
  openHost,
  openNursery,
  retry,
  run,
  sleep,
  sleepForever,
} from "../../src/nursery/index.ts";
import { TestClock } from "../support/clock.ts";
import { boom } from "./support.ts";

function timeouts(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "Timeout" || kind === "Immediate").length;
}

describe("when a scope or nursery has ended", () => {
  it("no timer of the clock is left, however it ended", async () => {
    const clock = new TestClock();
    const work = run(
      async () => {
        await failAfter(1000, () => sleep(10));
        await moveOnAfter(10, () => sleep(1000));
        await assert.rejects(failAfter(1000, () => boom("failed")));
        await moveOnAfter(1000, () => retry(() => boom("again"), { times: Infinity }));
        await openNursery(async (nursery) => {
          nursery.startSoon(() => sleep(1e6));
          nursery.startSoon(() => failAfter(5e5, sleepForever));
          await nursery.run(() => 1, { timeoutMs: 1e6 });
          await sleep(1);
          nursery.cancel();
        });
        const host = openHost();
        host.nursery.startSoon(() => sleep(1e6));
        await host.close();
        assert.equal(clock.pending, 0);
      },
      { clock },
    );
    await clock.autojump(work);
    assert.equal((await work).ok, true);
  });

  it("no timer of the machine is left", async () => {
    const before = timeouts();
    await failAfter(60_000, () => checkpoint());
    await cancelScope(async (scope) => {
      await openNursery(async (nursery) => {
        nursery.startSoon(() => sleep(60_000));
        await checkpoint();
        scope.cancel();
      });
    });
    assert.equal(timeouts(), before);
  });

  it("no listener on a foreign signal is left, nor on the scope's own", async () => {
    const { signal } = new AbortController();
    await cancelScope(checkpoint, { signal });
    await openNursery(async (nursery) => {
      await Promise.all([1, 2, 3].map((i) => nursery.run(() => i, { signal, timeoutMs: 1000 })));
      await assert.rejects(nursery.run(() => boom("failed"), { signal }));
      await nursery.run(() => abortable(() => checkpoint()), { signal });
    });
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("no child of the nursery and no process listener is left", async () => {
    const before = process.listenerCount("SIGTERM");
    await run(() => checkpoint(), { signals: ["SIGTERM"] });
    await openNursery(async (nursery) => {
      nursery.startSoon(sleepForever);
      await nursery.run(() => 1);
      assert.equal(nursery.tasks.size, 1);
      nursery.cancel();
    });
    assert.equal(process.listenerCount("SIGTERM"), before);
  });
});
