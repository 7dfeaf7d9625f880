import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as nodeSleep } from "node:timers/promises";
import {
  abandonOnCancel,
  abortable,
  cancelScope,
  CancelScope,
  checkpoint,
  failAfter,
  moveOnAfter,
  openNursery,
  sleep,
  suspend,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { boom, isCutShort, took, virtual } from "./support.ts";

describe("suspend", () => {
  it("holds its task until work that cannot be aborted has ended", async () => {
    const record: string[] = [];
    const work = Promise.withResolvers<void>();
    const scope = new CancelScope();
    const stubborn = (): Promise<void> =>
      suspend<void>((resume) => {
        void work.promise.then(resume);
        return () => record.push("abort");
      });
    await openNursery(async (nursery) => {
      nursery.startSoon(() =>
        scope.run(async () => {
          await stubborn();
          record.push("woke");
          await isCutShort(checkpoint());
        }),
      );
      await settled();
      scope.cancel();
      scope.cancel();
      await settled();
      assert.deepEqual(record, ["abort"]);
      work.resolve();
    });
    assert.deepEqual(record, ["abort", "woke"]);
  });

  it("aborts once even if two scopes are cancelled", async () => {
    let aborts = 0;
    const [outer, inner] = [new CancelScope(), new CancelScope()];
    await outer.run(() =>
      inner.run(async () => {
        const wait = suspend((_resume, fail) => (reason) => {
          aborts++;
          setImmediate(fail, reason);
        });
        inner.cancel();
        outer.cancel();
        await isCutShort(wait);
      }),
    );
    assert.equal(aborts, 1);
  });

  it("does not abort what has ended, and begins nothing in a cancelled scope", async () => {
    let [aborts, begun] = [0, 0];
    await cancelScope(async (scope) => {
      await suspend<void>((resume) => {
        setImmediate(resume);
        return () => aborts++;
      });
      scope.cancel();
      const refused = suspend((_resume, fail) => {
        begun++;
        return fail;
      });
      await isCutShort(refused);
    });
    assert.deepEqual([aborts, begun], [0, 0]);
  });

  it("does not abort what the abort of another has just ended", async () => {
    let aborts = 0;
    const outcome = await cancelScope(async (scope) => {
      const resumes: ((value: number) => void)[] = [];
      const first = suspend((_resume, fail) => (reason) => {
        for (const resume of resumes) resume(5);
        fail(reason);
      });
      const second = suspend<number>((resume) => {
        resumes.push(resume);
        return () => aborts++;
      });
      scope.cancel();
      await isCutShort(first);
      return second;
    });
    assert.deepEqual([outcome, aborts], [{ ok: true, value: 5 }, 0]);
  });

  it("ends when its own body cancels the scope, or its abort fails", async () => {
    const outcome = await cancelScope(async (scope) => {
      await suspend((_resume, fail) => {
        scope.cancel();
        return fail;
      });
    });
    assert.equal(outcome.ok, false);
    const failing = cancelScope(async (scope) => {
      setImmediate(() => scope.cancel());
      await suspend(() => () => boom("abort failed"));
    });
    await assert.rejects(failing, /abort failed/);
  });
});

describe("sleep", () => {
  it("takes its time on the clock of the scope", () =>
    virtual(async () => {
      assert.equal(await took(() => sleep(1234)), 1234);
    }));

  it("is not cut short by the longest timer that the machine has", () =>
    virtual(async (clock) => {
      const schedule = clock.schedule.bind(clock);
      clock.schedule = (fn, delayMs) => schedule(fn, Math.min(delayMs, 1000));
      assert.equal(await took(() => sleep(2500)), 2500);
      assert.equal(await took(() => moveOnAfter(3500, () => sleep(Infinity))), 3500);
    }));

  it("refuses what is not a number", () => assert.rejects(sleep(Number.NaN), RangeError));
});

const wraps = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(new Error("SDK error -32001")));
  });

describe("foreign calls", () => {
  it("are aborted by the scope's signal, and the scope absorbs their AbortError", async () => {
    const timer = await cancelScope(async (scope) => {
      setImmediate(() => scope.cancel());
      await nodeSleep(60_000, undefined, { signal: scope.signal });
    });
    const event = await cancelScope(async (scope) => {
      setImmediate(() => scope.cancel());
      await once(new EventEmitter(), "never", { signal: scope.signal });
    });
    assert.deepEqual([timer.ok, event.ok], [false, false]);
  });

  it("that wrap the AbortError are a cancellation under abortable; their own failures are not", () =>
    virtual(async () => {
      await assert.rejects(
        failAfter(5, ({ signal }) => wraps(signal)),
        /SDK error/,
      );
      await assert.rejects(
        failAfter(5, () => abortable(wraps)),
        TimeoutError,
      );
      await assert.rejects(
        failAfter(5, () => abortable(() => boom("own"))),
        /^Error: own$/,
      );
    }));

  it("are not begun by abortable in a cancelled scope", async () => {
    let begun = false;
    await cancelScope(async (scope) => {
      scope.cancel();
      await abortable(() => {
        begun = true;
      });
    });
    assert.equal(begun, false);
  });
});

describe("abandonOnCancel", () => {
  it("gives the result of work that ends in time", async () => {
    assert.equal(await abandonOnCancel(Promise.resolve(5)), 5);
    await assert.rejects(abandonOnCancel(Promise.reject(new Error("own"))), /own/);
  });

  it("stops waiting and reports how the work ended", async () => {
    const late: string[] = [];
    const work = Promise.withResolvers<void>();
    const outcome = await cancelScope(async (scope) => {
      setImmediate(() => scope.cancel());
      await abandonOnCancel(work.promise, (result) => late.push(result.status));
    });
    assert.deepEqual([outcome.ok, late], [false, []]);
    work.reject(new Error("late"));
    await settled();
    assert.deepEqual(late, ["rejected"]);
  });

  it("hears how the work ended also if the scope was cancelled before", async () => {
    const late: string[] = [];
    await cancelScope(async (scope) => {
      scope.cancel();
      await abandonOnCancel(Promise.reject(new Error("early")), (result) => late.push(result.status));
    });
    await settled();
    assert.deepEqual(late, ["rejected"]);
  });
});
