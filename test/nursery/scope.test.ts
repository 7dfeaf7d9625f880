import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as nodeSleep } from "node:timers/promises";
import {
  Cancelled,
  cancelScope,
  CancelScope,
  checkpoint,
  currentScope,
  currentSignal,
  currentTime,
  EscapedTaskError,
  openNursery,
  rethrowIfCancelled,
  sleep,
  sleepForever,
} from "../../src/nursery/index.ts";
import { boom, groupOf, isCutShort, virtual } from "./support.ts";

const throwing = (error: Error, suppressed: Error): Promise<unknown> =>
  cancelScope((scope) => {
    scope.cancel();
    throw new SuppressedError(error, suppressed);
  });

describe("a cancel scope", () => {
  it("makes cancellation points throw, and leaves plain awaits alone", async () => {
    const outcome = await cancelScope(async (scope) => {
      await checkpoint();
      scope.throwIfCancelled();
      scope.cancel();
      assert.throws(() => scope.throwIfCancelled(), Cancelled);
      await nodeSleep(1);
      await isCutShort(checkpoint());
      await isCutShort(sleep(1000));
      await isCutShort(sleepForever());
      return "went on";
    });
    assert.deepEqual(outcome, { ok: true, value: "went on" });
  });

  it("is cancelled for good: swallowing it once does not help, and the first reason stays", async () => {
    const scope = new CancelScope();
    const outcome = await scope.run(async () => {
      scope.cancel("one");
      scope.cancel("two");
      await assert.rejects(sleepForever(), /one/);
      await assert.rejects(sleepForever(), /one/);
      await checkpoint();
    });
    assert.deepEqual([outcome.ok, scope.cancelCalled, scope.cancelledCaught], [false, true, true]);
  });

  it("may be cancelled before entry, is entered once, and ignores cancel after exit", async () => {
    const early = new CancelScope();
    early.cancel();
    assert.equal((await early.run(sleepForever)).ok, false);
    const scope = new CancelScope();
    await scope.run(() => assert.rejects(scope.run(checkpoint), /only once/));
    await assert.rejects(scope.run(checkpoint), /only once/);
    scope.cancel();
    await checkpoint();
    assert.equal(scope.cancelledCaught, false);
  });

  it("does not deliver later what met no cancellation point", async () => {
    const scope = new CancelScope();
    const outcome = await scope.run(() => {
      scope.cancel();
      return 7;
    });
    assert.deepEqual(outcome, { ok: true, value: 7 });
    await checkpoint();
    assert.equal(scope.cancelledCaught, false);
  });

  it("leaves it to the outer one when two nested ones are cancelled", async () => {
    const [first, second, third] = [new CancelScope(), new CancelScope(), new CancelScope()];
    await first.run(() =>
      second.run(() =>
        third.run(async () => {
          third.cancel();
          second.cancel();
          await sleepForever();
        }),
      ),
    );
    assert.deepEqual([third.cancelCalled, third.cancelledCaught], [true, false]);
    assert.deepEqual([second.cancelledCaught, first.cancelledCaught], [true, false]);
  });

  it("is detached when closed: a later cancellation outside does not abort its signal", async () => {
    const outer = new CancelScope();
    await outer.run(async () => {
      const inner = new CancelScope();
      await inner.run(checkpoint);
      outer.cancel();
      assert.equal(inner.signal.aborted, false);
    });
  });

  it("takes only the cancellations out of the error that a failing disposer leaves", async () => {
    await assert.rejects(throwing(new Error("dispose"), new Cancelled()), /^Error: dispose$/);
    assert.deepEqual(await throwing(new Cancelled(), new Cancelled()), { ok: false, value: undefined });
    const both = new Error("body");
    await assert.rejects(throwing(new Error("dispose"), both), SuppressedError);
  });
});

describe("a foreign signal", () => {
  it("cancels the scope, also when it aborted before", async () => {
    const controller = new AbortController();
    const scope = new CancelScope({ signal: controller.signal });
    setImmediate(() => controller.abort("why"));
    await scope.run(() => assert.rejects(sleepForever(), { cause: "why" }));
    assert.equal(scope.timedOut, false);
    assert.equal((await cancelScope(checkpoint, { signal: AbortSignal.abort() })).ok, false);
  });
});

const leak = async (): Promise<void> => {
  await nodeSleep(5);
  await sleep(1);
};

describe("work that escapes its scope", () => {
  it("is told so at its next call into the library", async () => {
    let escaped: Promise<unknown> = Promise.resolve();
    await openNursery((nursery) => {
      nursery.startSoon(() => {
        escaped = leak();
        escaped.catch(() => undefined);
      }, "leaky");
    });
    await assert.rejects(
      escaped,
      (error) => error instanceof EscapedTaskError && error.message.includes("leaky"),
    );
  });
});

describe("rethrowIfCancelled", () => {
  it("lets a catch block handle failures only", () =>
    virtual(async () => {
      let handled = 0;
      const outcome = await cancelScope(
        async () => {
          for (;;) {
            try {
              await sleep(10);
              boom("x");
            } catch (error) {
              rethrowIfCancelled(error);
              handled++;
            }
          }
        },
        { timeoutMs: 35 },
      );
      assert.deepEqual([outcome.ok, handled], [false, 3]);
    }));

  it("takes an AbortError in a live scope for a failure, and a group with a cancellation in it for a cancellation", async () => {
    rethrowIfCancelled(new DOMException("remote reset", "AbortError"));
    await cancelScope((scope) => {
      scope.cancel();
      rethrowIfCancelled(new Error("handled"));
      const group = new AggregateError([new Error("x"), new Cancelled()]);
      assert.throws(() => rethrowIfCancelled(group), groupOf("Error: x", "AbortError"));
    });
  });
});

describe("deadlines", () => {
  it("cancel when they pass, and not before", () =>
    virtual(async (clock) => {
      const left = new CancelScope({ timeoutMs: 10 });
      await left.run(() => sleep(9));
      clock.jump(20);
      assert.equal(left.cancelCalled, false);
      const passed = new CancelScope({ timeoutMs: 10 });
      await passed.run(sleepForever);
      assert.deepEqual([passed.cancelCalled, passed.cancelledCaught, passed.timedOut], [true, true, true]);
      const past = new CancelScope({ timeoutMs: -1 });
      assert.equal((await past.run(checkpoint)).ok, false);
    }));

  it("can be moved while the scope is open, nearer and further away", () =>
    virtual(async (clock) => {
      const scope = new CancelScope({ timeoutMs: 10 });
      const outcome = await scope.run(async () => {
        scope.deadline = currentTime() + 50;
        clock.jump(40);
        await checkpoint();
        scope.deadline = currentTime() + 5;
        clock.jump(5);
        await isCutShort(checkpoint());
      });
      assert.deepEqual([outcome.ok, clock.now()], [true, 45]);
    }));

  it("must be numbers", () => {
    const scope = new CancelScope();
    assert.throws(() => {
      scope.deadline = Number.NaN;
    }, RangeError);
    assert.throws(() => new CancelScope({ timeoutMs: Number.NaN }), RangeError);
  });

  it("are in effect when they are the nearest that no shield hides", () =>
    virtual(async () => {
      const began = currentTime();
      const effective = (): number => currentScope().effectiveDeadline - began;
      assert.equal(effective(), Infinity);
      const outer = new CancelScope({ timeoutMs: 5000 });
      await outer.run(async () => {
        const inner = new CancelScope({ timeoutMs: 10_000 });
        await inner.run(() => {
          assert.equal(effective(), 5000);
          inner.deadline = began + 3000;
          assert.equal(effective(), 3000);
        });
        const shielded = new CancelScope({ timeoutMs: 10_000, shield: true });
        await shielded.run(() => {
          outer.cancel();
          assert.equal(effective(), 10_000);
        });
        assert.equal(effective(), -Infinity);
      });
    }));
});

describe("a shield", () => {
  it("keeps outside cancellation out, but not its own or one from inside", async () => {
    const outer = new CancelScope();
    await outer.run(async () => {
      outer.cancel();
      await isCutShort(checkpoint());
      const inner = new CancelScope({ shield: true, timeoutMs: 1000 });
      await inner.run(async () => {
        await checkpoint();
        await cancelScope(async (scope) => {
          scope.cancel();
          await isCutShort(checkpoint());
        });
        await checkpoint();
        assert.equal(currentSignal().aborted, false);
        inner.cancel();
        await checkpoint();
      });
      assert.equal(inner.cancelledCaught, true);
      await isCutShort(checkpoint());
    });
  });

  it("always has a time limit of its own", () => {
    assert.throws(() => new CancelScope({ shield: true }), /time limit/);
    assert.throws(() => new CancelScope({ shield: true, timeoutMs: Infinity }), /time limit/);
    const scope = new CancelScope({ shield: true, timeoutMs: 10 });
    assert.throws(() => {
      scope.deadline = Infinity;
    }, /time limit/);
  });
});
