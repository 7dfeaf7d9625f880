import assert from "node:assert/strict";
import { AsyncResource } from "node:async_hooks";
import { describe, it } from "node:test";
import {
  Cancelled,
  currentContext,
  currentTime,
  EscapedTaskError,
  moveOnAfter,
  NoContextError,
  type Nursery,
  NurseryClosedError,
  openHost,
  openNursery,
  requireContext,
  run,
  sleep,
  sleepForever,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { settled, TestClock } from "../support/clock.ts";
import { boom, groupOf, isCutShort, virtual } from "./support.ts";

/** `fn`, as an event callback would call it that was registered in a task that has ended since. */
async function fromEndedTask<T>(fn: () => T): Promise<() => T> {
  const bound = Promise.withResolvers<() => T>();
  await openNursery((nursery) => nursery.startSoon(() => bound.resolve(AsyncResource.bind(fn))));
  return bound.promise;
}

describe("code from outside", () => {
  it("is told that it is in no context, and inside of a task that it is", async () => {
    assert.equal(currentContext(), "none");
    await run(() => assert.equal(currentContext(), "task"));
    await openNursery((nursery) => nursery.startSoon(() => assert.equal(currentContext(), "task")));
    assert.equal(currentContext(), "none");
  });

  it("is told what to do where a context is required", async () => {
    assert.throws(requireContext, (error) => {
      assert.ok(error instanceof NoContextError);
      for (const way of ["requires", "run()", "openNursery()", "nursery.run()"])
        assert.ok(error.message.includes(way), way);
      return true;
    });
    await run(requireContext);
  });

  it("is told that it escaped when it goes on after its task", async () => {
    const later = await fromEndedTask(() => {
      assert.equal(currentContext(), "escaped");
      assert.throws(requireContext, EscapedTaskError);
    });
    later();
  });

  it("gets the value of an asynchronous or a plain function from run", () =>
    virtual(async () => {
      const doubled = await run(async () => {
        await sleep(10);
        return 21 * 2;
      });
      const added = await run(() => 10 + 32);
      assert.deepEqual([doubled.value, added.value], [42, 42]);
    }));

  it("hears from five children at once, which sleep 10 ms and report 0 to 4", () =>
    virtual(async () => {
      const reports: number[] = [];
      await openNursery((nursery) => {
        for (let i = 0; i < 5; i++) {
          nursery.startSoon(async () => {
            await sleep(10);
            reports.push(i);
          });
        }
      });
      assert.deepEqual([reports, currentTime()], [[0, 1, 2, 3, 4], 10]);
    }));
});

describe("run", () => {
  it("throws what its function throws", () =>
    assert.rejects(
      run(() => boom("17")),
      /^Error: 17$/,
    ));

  it("inside a task ends with the task's cancellation", () =>
    virtual(async () => {
      const outcome = await moveOnAfter(50, () => run(sleepForever));
      assert.deepEqual([outcome.ok, currentTime()], [false, 50]);
    }));

  it("starts afresh where the task around it has ended", async () => {
    const later = await fromEndedTask(() => run(() => sleep(0)));
    assert.deepEqual(await later(), { ok: true, value: undefined });
  });
});

describe("nursery.run", () => {
  it("gives value, failure, timeout and both cancellations to its caller, and the nursery lives on", () =>
    virtual(() =>
      openNursery(async (nursery) => {
        assert.equal(await nursery.run(() => 5), 5);
        await assert.rejects(
          nursery.run(() => boom("handler")),
          /^Error: handler$/,
        );
        await assert.rejects(
          nursery.run(sleepForever, { timeoutMs: 5 }),
          (error) => error instanceof TimeoutError,
        );
        const gone = nursery.run(sleepForever, { signal: AbortSignal.abort("gone") });
        await assert.rejects(gone, (error) => error instanceof Cancelled && error.cause === "gone");
        const byItself = nursery.run((scope) => {
          scope.cancel("by itself");
          return sleepForever();
        });
        await assert.rejects(
          byItself,
          (error) => error instanceof Cancelled && error.message === "by itself",
        );
        assert.equal(nursery.scope.cancelCalled, false);
        const last = nursery.run(sleepForever);
        nursery.cancel();
        await isCutShort(last);
      }),
    ));

  it("works from event callbacks outside of every task, on the nursery's clock", () =>
    virtual(async (clock) => {
      let kept: Nursery | undefined;
      const outside = AsyncResource.bind(() => kept?.run(currentTime, { timeoutMs: 10 }));
      await openNursery(async (nursery) => {
        kept = nursery;
        assert.equal(await outside(), clock.now());
      });
    }));

  it("works from the tasks of another nursery, also ended ones, and belongs to the nursery it was asked of", () =>
    virtual(() =>
      openNursery(async (nursery) => {
        let ended = false;
        const call = (): Promise<number> =>
          nursery.run(async () => {
            await sleep(100);
            ended = true;
            return 5;
          });
        await moveOnAfter(50, () =>
          openNursery(async () => {
            const mine = call();
            await isCutShort(sleepForever());
            assert.equal(await mine, 5);
          }),
        );
        assert.equal(ended, true);
        const later = await fromEndedTask(call);
        assert.equal(await later(), 5);
      }),
    ));
});

describe("openHost", () => {
  it("keeps its nursery open until it is closed, and then waits for every child", () =>
    virtual(async () => {
      const record: string[] = [];
      const host = openHost();
      host.nursery.startSoon(() => sleepForever().finally(() => record.push("ended")));
      await sleep(1000);
      assert.deepEqual(record, []);
      await host.close();
      assert.deepEqual(record, ["ended"]);
      await host.ended;
      await host.close();
      assert.throws(() => host.nursery.startSoon(sleepForever), /closed/);
    }));

  it("works outside of every task, on the clock it is given", async () => {
    const clock = new TestClock();
    const host = openHost({ clock, name: "node" });
    const late = host.nursery.run(sleepForever, { timeoutMs: 1000 });
    await clock.autojump(assert.rejects(late, TimeoutError));
    assert.equal(clock.now(), 1000);
    await host.close();
    assert.equal(clock.pending, 0);
  });

  it("outlives the scope it was opened in, cancelled or closed, and its children do not escape", () =>
    virtual(async () => {
      const inside = await moveOnAfter(1000, (scope) => {
        scope.cancel();
        return openHost();
      });
      assert.ok(inside.ok);
      const host = inside.value;
      const record: string[] = [];
      host.nursery.startSoon(async () => {
        await sleep(2000);
        await openNursery((nursery) => nursery.startSoon(() => sleep(10)));
        record.push(currentContext());
      });
      await sleep(3000);
      assert.deepEqual(record, ["task"]);
      await host.close();
    }));

  it("opens also where the task around it has ended", async () => {
    const later = await fromEndedTask(async () => {
      await using host = openHost();
      assert.equal(await host.nursery.run(currentContext), "task");
    });
    await later();
  });

  it("ends with the first failure, which `ended` and the first close report, without an unhandled rejection", async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => {
      unhandled.push(error);
    };
    process.on("unhandledRejection", note);
    const host = openHost({ name: "node" });
    host.nursery.startSoon(sleepForever);
    host.nursery.startSoon(() => boom("crash"));
    await settled();
    await assert.rejects(
      host.ended,
      (error) => error instanceof AggregateError && error.message.includes("failed in node"),
    );
    const closing = [host.close(), host.close()];
    await assert.rejects(Promise.all(closing), groupOf("Error: crash"));
    await host.close();
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
  });

  it("reports to nobody that it was cancelled from inside", async () => {
    const host = openHost();
    host.nursery.startSoon(() => host.nursery.cancel());
    await host.ended;
    await assert.rejects(host.nursery.run(sleepForever), NurseryClosedError);
    await host.close();
  });
});
