import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import {
  Cancelled,
  cancelScope,
  CancelScope,
  checkpoint,
  currentTask,
  isCancelled,
  moveOnAfter,
  type Nursery,
  NurseryClosedError,
  openNursery,
  shield,
  sleep,
  sleepForever,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { boom, groupOf, virtual } from "./support.ts";

// From JavaScript, where no compiler refuses it first.
const startPromise = async (nursery: object): Promise<void> => {
  await Reflect.apply(Reflect.get(nursery, "startSoon"), nursery, [Promise.resolve()]);
};

describe("a nursery", () => {
  it("waits for its children", () =>
    virtual(async () => {
      let done = 0;
      await openNursery((nursery) => {
        for (let i = 0; i < 5; i++) {
          nursery.startSoon(async () => {
            await sleep(i);
            done++;
          });
        }
      });
      assert.equal(done, 5);
    }));

  it("returns the value of its body", async () => {
    assert.equal(await openNursery(() => 8), 8);
  });

  it("does not run a child before the caller goes on", async () => {
    const record: string[] = [];
    await openNursery((nursery) => {
      nursery.startSoon(() => record.push("child"));
      record.push("parent");
    });
    assert.deepEqual(record, ["parent", "child"]);
  });

  it("lets its children take turns", async () => {
    const record: string[] = [];
    const looper = (who: string) => async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        record.push(`${who}${i}`);
        await checkpoint();
      }
    };
    await openNursery((nursery) => {
      nursery.startSoon(looper("a"));
      nursery.startSoon(looper("b"));
    });
    assert.deepEqual(record, ["a0", "b0", "a1", "b1", "a2", "b2"]);
  });

  it("takes new tasks from its tasks, and none after its end", async () => {
    let ran = false;
    let kept: Nursery | undefined;
    await openNursery((nursery) => {
      kept = nursery;
      nursery.startSoon(async () => {
        await checkpoint();
        nursery.startSoon(async () => {
          await checkpoint();
          ran = true;
        });
      });
    });
    assert.equal(ran, true);
    assert.ok(kept);
    const ended = kept;
    assert.throws(() => ended.startSoon(() => undefined), NurseryClosedError);
    await assert.rejects(
      ended.start(() => undefined),
      NurseryClosedError,
    );
    await assert.rejects(
      ended.run(() => 1),
      NurseryClosedError,
    );
  });

  it("refuses a promise in place of a function", async () => {
    await assert.rejects(
      openNursery(startPromise),
      groupOf("TypeError: a nursery starts functions, not promises: write () => work()"),
    );
  });

  it("tells a task who it is and whose child", async () => {
    await openNursery((nursery) => {
      nursery.startSoon(function worker() {
        const me = currentTask();
        assert.ok(me);
        assert.deepEqual([me.name, me.nursery === nursery, nursery.tasks.has(me)], ["worker", true, true]);
      });
      nursery.startSoon(() => assert.equal(currentTask()?.name, "given"), "given");
    });
  });

  it("passes ambient values from the spawner to the child and not back", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    await storage.run("outer", () =>
      openNursery(async (nursery) => {
        nursery.startSoon(async () => {
          seen.push(storage.getStore());
          storage.enterWith("child");
          await checkpoint();
          seen.push(storage.getStore());
        });
        storage.run("special", () => nursery.startSoon(() => seen.push(storage.getStore())));
        await settled();
        seen.push(`body ${storage.getStore()}`);
      }),
    );
    assert.deepEqual(seen, ["outer", "special", "child", "body outer"]);
  });

  it("stays open for a child that ignores cancellation, so that nothing leaks silently", async () => {
    const foreign = Promise.withResolvers<string>();
    let ended = false;
    const whole = openNursery(async (nursery) => {
      nursery.startSoon(() => foreign.promise);
      nursery.cancel();
      await sleepForever();
    }).finally(() => {
      ended = true;
    });
    await settled();
    assert.equal(ended, false);
    foreign.resolve("done");
    await whole;
  });
});

describe("failures in a nursery", () => {
  it("come out of the body in a group", async () => {
    const error = new Error("whoops");
    await assert.rejects(
      openNursery(() => {
        throw error;
      }),
      groupOf(error),
    );
  });

  it("come out of a child in a group, whose cause and message name it", async () => {
    const error = new Error("uh oh");
    const failing = openNursery((nursery) => {
      nursery.startSoon(() => {
        throw error;
      });
    });
    await assert.rejects(failing, (group) => {
      assert.ok(group instanceof AggregateError);
      assert.equal(group.cause, error);
      assert.match(group.message, /1 failed in nursery: Error: uh oh/);
      return groupOf(error)(group);
    });
  });

  it("cancel the siblings and wake the body", async () => {
    const record: string[] = [];
    const failing = openNursery(async (nursery) => {
      nursery.startSoon(async () => {
        try {
          for (;;) await checkpoint();
        } catch (error) {
          assert.ok(error instanceof Cancelled);
          record.push("cancelled");
          throw error;
        }
      });
      nursery.startSoon(() => boom("argh"));
      await sleepForever();
    });
    await assert.rejects(failing, groupOf("Error: argh"));
    assert.deepEqual(record, ["cancelled"]);
  });

  it("are the cause of the cancellation that the others see", async () => {
    let cause: unknown;
    const failing = openNursery(async (nursery) => {
      nursery.startSoon(() => boom("root cause"));
      try {
        await sleepForever();
      } catch (error) {
        if (error instanceof Error) ({ cause } = error);
        throw error;
      }
    });
    await assert.rejects(failing);
    assert.match(String(cause), /root cause/);
  });

  it("come out together: body and child, two children, and what failed during cleanup", async () => {
    const bodyAndChild = openNursery((nursery) => {
      nursery.startSoon(() => boom("child"));
      boom("body");
    });
    await assert.rejects(bodyAndChild, groupOf("Error: body", "Error: child"));
    const twoChildren = openNursery((nursery) => {
      nursery.startSoon(() => boom("k"));
      nursery.startSoon(() => boom("v"));
    });
    await assert.rejects(twoChildren, groupOf("Error: k", "Error: v"));
    const cleanup = openNursery((nursery) => {
      nursery.startSoon(async () => {
        await sleepForever().finally(() => boom("cleanup"));
      });
      nursery.startSoon(() => boom("first"));
    });
    await assert.rejects(cleanup, groupOf("Error: first", "Error: cleanup"));
  });

  it("nest like the nurseries", async () => {
    const failing = openNursery((outer) => {
      outer.startSoon(() => openNursery((inner) => inner.startSoon(() => boom("deep"))));
    });
    await assert.rejects(failing, (group) => {
      assert.ok(group instanceof AggregateError);
      return groupOf("Error: deep")(group.errors[0]);
    });
  });

  it("stay while the cancellations around them are taken out", async () => {
    const outer = new CancelScope();
    const failing = outer.run(async () => {
      const inner = openNursery(async (nursery) => {
        nursery.startSoon(sleepForever);
        nursery.cancel();
        await shield(1000, () => settled());
        nursery.startSoon(sleepForever);
        outer.cancel();
        nursery.startSoon(() => boom("key"));
      });
      await assert.rejects(
        inner,
        (group) => group instanceof AggregateError && group.errors.some(isCancelled),
      );
      await openNursery((nursery) => {
        nursery.startSoon(sleepForever);
        boom("key");
      });
    });
    await assert.rejects(failing, groupOf("Error: key"));
    assert.equal(outer.cancelledCaught, true);
  });

  it("include an AbortError that nobody here asked for, alone or in a group", async () => {
    const foreign = new DOMException("remote reset", "AbortError");
    const alone = openNursery((nursery) => {
      nursery.startSoon(() => {
        throw foreign;
      });
      nursery.startSoon(sleepForever);
    });
    await assert.rejects(alone, groupOf(foreign));
    const group = new AggregateError([foreign], "all fetches failed");
    const inGroup = openNursery(() => {
      throw group;
    });
    await assert.rejects(inGroup, groupOf(group));
    await assert.rejects(
      moveOnAfter(1000, () => {
        throw foreign;
      }),
      (error) => error === foreign,
    );
  });
});

describe("cancelling a nursery", () => {
  it("lets a task that is started afterwards run up to its first cancellation point", async () => {
    const record: string[] = [];
    await openNursery((nursery) => {
      nursery.cancel();
      nursery.startSoon(async () => {
        record.push("started");
        await sleepForever();
        record.push("never");
      });
    });
    assert.deepEqual(record, ["started"]);
  });

  it("reaches every descendant", async () => {
    const record: string[] = [];
    const leaf = (id: string) => (): Promise<never> => sleepForever().finally(() => record.push(id));
    const worker = (id: string) => (): Promise<void> =>
      openNursery((nursery) => {
        nursery.startSoon(leaf(`${id}-1`));
        nursery.startSoon(leaf(`${id}-2`));
      });
    await openNursery(async (nursery) => {
      nursery.startSoon(worker("a"));
      nursery.startSoon(worker("b"));
      await settled();
      nursery.cancel();
    });
    assert.deepEqual(record.toSorted(), ["a-1", "a-2", "b-1", "b-2"]);
  });

  it("is not noticed by opening and closing one", async () => {
    const scope = new CancelScope();
    await scope.run(async () => {
      scope.cancel();
      await openNursery((nursery) => nursery.startSoon(() => undefined));
    });
    assert.equal(scope.cancelledCaught, false);
  });

  it("does not hide an error of the body", async () => {
    const failing = cancelScope(async (scope) => {
      scope.cancel();
      await openNursery((nursery) => {
        nursery.startSoon(sleepForever);
        boom("key");
      });
    });
    await assert.rejects(failing, groupOf("Error: key"));
  });
});
