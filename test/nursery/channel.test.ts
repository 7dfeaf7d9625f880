import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CancelScope,
  cancelScope,
  Channel,
  ChannelClosedError,
  checkpoint,
  moveOnAfter,
  openNursery,
  sleep,
} from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";
import { isCutShort, virtual } from "./support.ts";

async function drain<T>(channel: Channel<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of channel) items.push(item);
  return items;
}

describe("a channel", () => {
  it("carries items in the order of sending, and ends iteration when it is closed and empty", async () => {
    const channel = new Channel<number>(2);
    let received: number[] = [];
    await openNursery(async (nursery) => {
      nursery.startSoon(async () => {
        received = await drain(channel);
      });
      for (let i = 0; i < 10; i++) await channel.send(i);
      channel.close();
    });
    assert.deepEqual(received, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("holds no more than its capacity: the sender waits for room", async () => {
    const channel = new Channel<number | undefined>(2);
    let sent = 0;
    await openNursery(async (nursery) => {
      nursery.startSoon(async () => {
        for (let i = 0; i < 4; i++) {
          await channel.send(undefined);
          sent++;
        }
      });
      await settled();
      assert.deepEqual([sent, channel.size, channel.trySend(7)], [2, 2, false]);
      assert.equal(await channel.receive(), undefined);
      await settled();
      assert.deepEqual([sent, channel.size], [3, 2]);
      await channel.receive();
    });
    assert.equal(sent, 4);
  });

  it("with capacity 0 hands each item from sender to receiver", async () => {
    const channel = new Channel<string>(0);
    assert.equal(channel.trySend("nobody there"), false);
    await openNursery(async (nursery) => {
      nursery.startSoon(() => channel.send("a"));
      await settled();
      assert.equal(await channel.receive(), "a");
      nursery.startSoon(async () => assert.equal(await channel.receive(), "b"));
      await settled();
      assert.equal(channel.trySend("b"), true);
    });
  });

  it("serves receivers and senders in the order of coming", async () => {
    const channel = new Channel<number>(1);
    const record: string[] = [];
    await openNursery(async (nursery) => {
      for (const who of ["a", "b", "c"]) {
        nursery.startSoon(async () => record.push(`${who}${await channel.receive()}`));
      }
      await settled();
      for (const item of [1, 2, 3]) await channel.send(item);
      await settled();
      for (const item of [4, 5, 6]) nursery.startSoon(() => channel.send(item));
      await settled();
      for (let i = 0; i < 3; i++) record.push(`body${await channel.receive()}`);
    });
    assert.deepEqual(record, ["a1", "b2", "c3", "body4", "body5", "body6"]);
  });

  it("lets timers fire between tasks that feed each other without end", async () => {
    const channel = new Channel<number>(1);
    const outcome = await moveOnAfter(5, () =>
      openNursery(async (nursery) => {
        nursery.startSoon(async () => {
          for (;;) await channel.send(1);
        });
        for (;;) await channel.receive();
      }),
    );
    assert.equal(outcome.ok, false);
  });

  it("refuses a capacity that is none", () => {
    for (const capacity of [-1, 1.5, Number.NaN]) assert.throws(() => new Channel(capacity), RangeError);
    assert.equal(new Channel(Infinity).trySend(1), true);
  });
});

describe("a cancelled receive", () => {
  it("takes no item, and leaves the line", () =>
    virtual(async () => {
      const channel = new Channel<number>(1);
      assert.equal((await moveOnAfter(10, () => channel.receive())).ok, false);
      await channel.send(1);
      assert.equal(await channel.receive(), 1);
    }));

  it("keeps the item that arrived before the cancellation did", async () => {
    const channel = new Channel<number>(0);
    const scope = new CancelScope();
    await openNursery(async (nursery) => {
      nursery.startSoon(async () =>
        assert.deepEqual(await scope.run(() => channel.receive()), { ok: true, value: 1 }),
      );
      await settled();
      assert.equal(channel.trySend(1), true);
      scope.cancel();
    });
  });

  it("in a cancelled scope leaves what there is to others", async () => {
    const channel = new Channel<number>(1);
    channel.trySend(1);
    await cancelScope(async (scope) => {
      scope.cancel();
      await isCutShort(channel.receive());
      await isCutShort(channel.send(2));
    });
    assert.equal(channel.size, 1);
  });

  it("loses and doubles nothing among many senders and receivers that are cancelled at random", () =>
    virtual(async () => {
      const channel = new Channel<number>(3);
      const [sent, received]: [number[], number[]] = [[], []];
      let seed = 7;
      const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
      await openNursery(async (nursery) => {
        for (let i = 0; i < 300; i++) {
          nursery.startSoon(async () => {
            await sleep(random(100));
            await moveOnAfter(random(20), async () => {
              await channel.send(i);
              sent.push(i);
            });
          });
          nursery.startSoon(async () => {
            await sleep(random(100));
            await moveOnAfter(random(20), async () => received.push(await channel.receive()));
          });
        }
      });
      channel.close();
      received.push(...(await drain(channel)));
      assert.equal(received.length, sent.length);
      assert.deepEqual(new Set(received), new Set(sent));
      assert.ok(sent.length > 50 && sent.length < 300, `${sent.length} sent`);
    }));
});

describe("a cancelled send", () => {
  it("leaves no item", () =>
    virtual(async () => {
      const channel = new Channel<number>(1);
      await channel.send(1);
      assert.equal((await moveOnAfter(10, () => channel.send(2))).ok, false);
      assert.equal(await channel.receive(), 1);
      channel.close();
      assert.deepEqual(await drain(channel), []);
    }));
});

describe("closing a channel", () => {
  it("still gives out what it holds, and refuses what waits to be sent and what comes later", async () => {
    const channel = new Channel<number>(1);
    await channel.send(1);
    await openNursery(async (nursery) => {
      nursery.startSoon(() => assert.rejects(channel.send(2), ChannelClosedError));
      await settled();
      channel.close();
      channel.close(new Error("too late"));
    });
    assert.deepEqual([channel.closed, channel.trySend(3)], [true, false]);
    await assert.rejects(channel.send(3), ChannelClosedError);
    assert.equal(await channel.receive(), 1);
    await assert.rejects(channel.receive(), ChannelClosedError);
    assert.deepEqual(await drain(channel), []);
  });

  it("wakes who waits to receive", async () => {
    const channel = new Channel<number>(1);
    await openNursery(async (nursery) => {
      nursery.startSoon(() => assert.rejects(channel.receive(), ChannelClosedError));
      nursery.startSoon(async () => assert.deepEqual(await drain(channel), []));
      await settled();
      channel.close();
    });
  });

  it("with an error throws it, after what was held, to receivers and senders", async () => {
    const channel = new Channel<number>(1);
    await channel.send(1);
    channel.close(new Error("stream reset"));
    assert.equal(await channel.receive(), 1);
    await assert.rejects(channel.receive(), /stream reset/);
    await assert.rejects(drain(channel), /stream reset/);
    await assert.rejects(channel.send(2), /stream reset/);
    const waiting = new Channel<number>(1);
    await openNursery(async (nursery) => {
      nursery.startSoon(() => assert.rejects(waiting.receive(), /stream reset/));
      await checkpoint();
      waiting.close(new Error("stream reset"));
    });
  });
});
