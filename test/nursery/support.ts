/** What the tests of this room share. */
import assert from "node:assert/strict";
import { currentTime, isCancelled, run } from "../../src/nursery/index.ts";
import { TestClock } from "../support/clock.ts";

/** Runs `main` in virtual time, and makes sure that it leaves no timer behind. */
export async function virtual(main: (clock: TestClock) => Promise<unknown>): Promise<void> {
  const clock = new TestClock();
  const outcome = await clock.autojump(run(() => main(clock), { clock }));
  assert.equal(outcome.ok, true, "the test was cancelled");
  assert.equal(clock.pending, 0, "timers were left behind");
}

/** Milliseconds of virtual time that `work` takes. */
export async function took(work: () => Promise<unknown>): Promise<number> {
  const began = currentTime();
  await work();
  return currentTime() - began;
}

/** For `assert.rejects`: the error is a group of exactly these, by identity or as "name: message". */
export function groupOf(...wanted: readonly (string | Error)[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AggregateError, `not a group: ${String(error)}`);
    const seen = error.errors.map((part: unknown) => wanted.find((want) => want === part) ?? String(part));
    assert.deepEqual(seen, wanted);
    return true;
  };
}

/** Asserts that `wait` ends by cancellation. */
export async function isCutShort(wait: Promise<unknown>): Promise<void> {
  await assert.rejects(wait, isCancelled);
}

/** Throws, as an expression. */
export function boom(message: string): never {
  throw new Error(message);
}
