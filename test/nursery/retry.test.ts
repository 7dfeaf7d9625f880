import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Cancelled,
  currentScope,
  currentTime,
  failAfter,
  moveOnAfter,
  retry,
  type RetryFacts,
  sleep,
  sleepForever,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { boom, took, virtual } from "./support.ts";

/** Fails as often as told, and then succeeds. */
function flaky(failures: number): (attempt: number) => string {
  return (attempt) => (attempt <= failures ? boom(`failure ${attempt}`) : `attempt ${attempt}`);
}

describe("retry", () => {
  it("gives the value of the first attempt that succeeds", () =>
    virtual(async () => {
      assert.equal(await retry(flaky(0)), "attempt 1");
      assert.equal(await retry(flaky(3)), "attempt 4");
    }));

  it("gives up after the last attempt, with its error", () =>
    virtual(async () => {
      await assert.rejects(retry(flaky(9), { times: 2 }), /failure 3/);
      await assert.rejects(retry(flaky(9), { times: 0 }), /failure 1/);
    }));

  it("doubles its pauses up to the longest", () =>
    virtual(async () => {
      const pauses: number[] = [];
      const onRetry = ({ pauseMs }: RetryFacts): unknown => pauses.push(pauseMs);
      const waited = await took(() =>
        retry(flaky(5), { times: 5, baseMs: 10, maxMs: 60, jitter: false, onRetry }),
      );
      assert.deepEqual([pauses, waited], [[10, 20, 40, 60, 60], 190]);
    }));

  it("draws each pause between nothing and its length, the same under the same random numbers", () =>
    virtual(async () => {
      const numbers = [0, 0.5, 0.25];
      const draws = numbers.values();
      const random = (): number => draws.next().value ?? boom("drawn too often");
      assert.equal(await took(() => retry(flaky(3), { baseMs: 100, random })), 0 + 0.5 * 200 + 0.25 * 400);
    }));

  it("tells of each failure that is followed by another attempt", () =>
    virtual(async () => {
      const seen: string[] = [];
      const onRetry = ({ error, failures }: RetryFacts): unknown =>
        seen.push(`${failures}: ${String(error)}`);
      await assert.rejects(retry(flaky(9), { times: 2, onRetry }));
      assert.deepEqual(seen, ["1: Error: failure 1", "2: Error: failure 2"]);
    }));

  it("begins no attempt after its budget", () =>
    virtual(async () => {
      let attempts = 0;
      const work = async (): Promise<never> => {
        attempts++;
        await sleep(100);
        return boom("slow");
      };
      const options = { times: Infinity, baseMs: 50, maxMs: 50, jitter: false, budgetMs: 400 };
      const waited = await took(() => assert.rejects(retry(work, options), /slow/));
      assert.deepEqual([attempts, waited], [3, 400]);
    }));

  it("retries only what it is told to", () =>
    virtual(async () => {
      await assert.rejects(
        retry(flaky(9), { retryIf: (error) => String(error).includes("failure 1") }),
        /failure 2/,
      );
    }));

  it("never retries a cancellation, in the attempt or in the pause", () =>
    virtual(async () => {
      let attempts = 0;
      const blocked = (): Promise<never> => {
        attempts++;
        return sleepForever();
      };
      await moveOnAfter(50, () => retry(blocked));
      assert.equal(attempts, 1);
      const inPause = await took(() =>
        moveOnAfter(50, () => retry(flaky(9), { baseMs: 1000, jitter: false })),
      );
      assert.equal(inPause, 50);
      const cancelled = new Cancelled();
      await assert.rejects(
        retry((attempt) => {
          attempts = attempt;
          throw cancelled;
        }),
        (error) => error === cancelled,
      );
      assert.equal(attempts, 1);
    }));

  it("reports a failure, not the cancellation that came with it", () =>
    virtual(() =>
      assert.rejects(
        moveOnAfter(50, () =>
          retry(() => {
            currentScope().cancel();
            return boom("real");
          }),
        ),
        /real/,
      ),
    ));

  it("retries what timed out by a limit of its own", () =>
    virtual(async () => {
      let attempts = 0;
      const limited = (): Promise<never> => {
        attempts++;
        return failAfter(10, sleepForever);
      };
      await assert.rejects(retry(limited, { times: 2 }), TimeoutError);
      assert.equal(attempts, 3);
      assert.ok(currentTime() >= 30);
    }));
});
