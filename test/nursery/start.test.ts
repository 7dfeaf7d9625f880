import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cancelScope,
  CancelScope,
  checkpoint,
  type Nursery,
  openNursery,
  sleep,
  sleepForever,
  type TaskStatus,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { boom, groupOf, isCutShort, took, virtual } from "./support.ts";

const holder = async (status: TaskStatus<Nursery>): Promise<void> => {
  await openNursery(async (target) => {
    status.started(target);
    await sleepForever();
  });
};

const slow = async (status: TaskStatus<void>): Promise<void> => {
  await sleep(2000);
  status.started();
  await sleep(3000);
};

describe("nursery.start", () => {
  it("waits for started(value), and then leaves the task to the nursery", () =>
    virtual(async () => {
      const whole = await took(() =>
        openNursery(async (nursery) => {
          const start = (): Promise<string> =>
            nursery.start<string>(async (status) => {
              await sleep(1000);
              status.started("ready");
              await sleep(500);
            });
          let value = "";
          const waited = await took(async () => {
            value = await start();
          });
          assert.deepEqual([value, waited, nursery.tasks.size], ["ready", 1000, 1]);
        }),
      );
      assert.equal(whole, 1500);
    }));

  it("refuses started() twice", () =>
    openNursery((nursery) =>
      nursery.start<void>((status) => {
        status.started();
        assert.throws(() => status.started(), /twice/);
      }),
    ));

  it("fails if the task ends without started()", () =>
    openNursery((nursery) =>
      assert.rejects(
        nursery.start(() => undefined),
        /exited without calling/,
      ),
    ));

  it("gives a crash before started() to the caller and leaves the nursery alone", () =>
    openNursery(async (nursery) => {
      await assert.rejects(
        nursery.start(() => boom("oops")),
        /^Error: oops$/,
      );
      assert.equal(nursery.scope.cancelCalled, false);
    }));

  it("gives a crash after started() to the nursery", () =>
    assert.rejects(
      openNursery(async (nursery) => {
        await nursery.start<void>(async (status) => {
          status.started();
          await checkpoint();
          boom("late");
        });
        await sleepForever();
      }),
      groupOf("Error: late"),
    ));

  it("hands nothing over in a cancelled caller: the task ends under start()", () =>
    openNursery(async (nursery) => {
      await cancelScope(async (caller) => {
        caller.cancel();
        const starting = nursery.start<string>(async (status) => {
          status.started("hi");
          await checkpoint();
        });
        await isCutShort(starting);
      });
      const quick = new CancelScope();
      await quick.run(async () => {
        quick.cancel();
        await nursery.start<void>((status) => status.started());
      });
      assert.equal(quick.cancelledCaught, false);
      const failing = cancelScope(async (caller) => {
        caller.cancel();
        await nursery.start<void>((status) => {
          status.started();
          boom("whoops");
        });
      });
      await assert.rejects(failing, /^Error: whoops$/);
    }));

  it("keeps the started task out of a later cancellation of the caller", () =>
    virtual(async () => {
      let ended = false;
      await openNursery((nursery) =>
        cancelScope(async (caller) => {
          await nursery.start<void>(async (status) => {
            status.started();
            await sleep(10);
            ended = true;
          });
          caller.cancel();
          await checkpoint();
        }),
      );
      assert.equal(ended, true);
    }));

  for (const when of ["before", "after"]) {
    it(`cancels the task and its children when the nursery is cancelled just ${when} started()`, async () => {
      let cancelled = 0;
      const sleeper = (): Promise<never> => sleepForever().finally(() => cancelled++);
      await openNursery(async (nursery) => {
        const target = await nursery.start(holder);
        await target.start<void>((status) =>
          openNursery(async (inner) => {
            inner.startSoon(sleeper);
            inner.startSoon(sleeper);
            await settled();
            if (when === "before") target.cancel();
            status.started();
          }),
        );
        target.cancel();
      });
      assert.equal(cancelled, 2);
    });
  }

  it("keeps the nursery open while it is pending", () =>
    virtual(async () => {
      await openNursery(async (outer) => {
        const inner = (): Promise<unknown> =>
          openNursery(async (nursery) => {
            outer.startSoon(() => nursery.start(slow));
            await sleep(1000);
            outer.startSoon(() => nursery.start(slow));
          });
        assert.equal(await took(inner), 6000);
      });
    }));
});
