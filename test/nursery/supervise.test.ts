import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type CrashFacts,
  currentScope,
  moveOnAfter,
  openNursery,
  sleep,
  sleepForever,
  supervise,
} from "../../src/nursery/index.ts";
import { boom, took, virtual } from "./support.ts";

const steady = { baseMs: 100, maxMs: 1000, jitter: false };

describe("supervise", () => {
  it("restarts a child that crashes, with growing pauses, and tells of each crash", () =>
    virtual(async () => {
      const seen: string[] = [];
      const onCrash = ({ error, crashes, ranMs, pauseMs }: CrashFacts): unknown =>
        seen.push(`${String(error)} ${crashes} ${ranMs} ${pauseMs}`);
      let runs = 0;
      const child = async (): Promise<void> => {
        await sleep(5);
        if (++runs < 4) boom(`crash ${runs}`);
      };
      const waited = await took(() => supervise(child, { ...steady, onCrash }));
      assert.deepEqual(seen, ["Error: crash 1 1 5 100", "Error: crash 2 2 5 200", "Error: crash 3 3 5 400"]);
      assert.deepEqual([runs, waited], [4, 720]);
    }));

  it("begins with small pauses again after a healthy period", () =>
    virtual(async () => {
      const pauses: unknown[] = [];
      const lives = [1, 1, 5000, 1].values();
      const child = async (): Promise<void> => {
        const life = lives.next();
        if (life.done) return;
        await sleep(life.value);
        boom("crash");
      };
      await supervise(child, { ...steady, healthyMs: 5000, onCrash: ({ pauseMs }) => pauses.push(pauseMs) });
      assert.deepEqual(pauses, [100, 200, 100, 200]);
    }));

  it("gives up when there were too many restarts within the window, and not when they are spread", () =>
    virtual(async () => {
      let runs = 0;
      const pauses: unknown[] = [];
      const options = {
        ...steady,
        maxMs: 100,
        limit: { restarts: 3, withinMs: 1000 },
        onCrash: ({ pauseMs }: CrashFacts): unknown => pauses.push(pauseMs),
      };
      const child = async (): Promise<void> => {
        if (++runs <= 5) await sleep(400);
        boom(`crash ${runs}`);
      };
      await assert.rejects(supervise(child, options), /crash 7/);
      assert.deepEqual(pauses, [100, 100, 100, 100, 100, 100, undefined]);
    }));

  it("does not restart a child that returned, ended its own scope or was cancelled", () =>
    virtual(async () => {
      let runs = 0;
      await supervise(async () => {
        runs++;
        currentScope().cancel();
        await sleepForever();
      });
      const outcome = await moveOnAfter(50, () =>
        supervise(() => {
          runs++;
          return sleepForever();
        }),
      );
      assert.deepEqual([runs, outcome.ok], [2, false]);
    }));

  it("ends with its nursery, also in a pause", () =>
    virtual(async () => {
      const waited = await took(() =>
        openNursery(async (nursery) => {
          nursery.startSoon(() => supervise(() => boom("crash"), { ...steady, baseMs: 1000 }));
          await sleep(500);
          nursery.cancel();
        }),
      );
      assert.equal(waited, 500);
    }));
});
