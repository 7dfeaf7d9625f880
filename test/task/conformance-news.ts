/** What somebody who follows a task, or watches a lease, is told by every {@link TaskQueue}. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { FROM_THE_BEGINNING, type Lease, type TaskNews, type TaskQueue } from "../../src/task/queue.ts";
import { type LogLine, MAX_LOG_LINES } from "../../src/task/task.ts";
import { settled } from "../support/clock.ts";
import { type Bench, claimOne, code, submitOne } from "./bench.ts";

type Opener = (test: (bench: Bench) => Promise<void>) => Promise<void>;

const messages = ({ logs }: TaskNews): readonly string[] => logs.map(({ message }) => message);

function line(message: string): LogLine {
  return { atMs: 1, stream: "stdout", message };
}

/** Notes `count` lines that begin with the number `from`. */
async function say(queue: TaskQueue, lease: Lease, from: number, count: number): Promise<void> {
  const logs = Array.from({ length: count }, (_, i) => line(String(from + i)));
  await queue.note(lease, { logs });
}

/** Declares the suite. `open` runs a test with a fresh queue. */
export function following(open: Opener): void {
  it("tells each line once, at once when it is written, and nothing while nothing happens", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await say(queue, lease, 1, 2);
      const first = await queue.follow(id, FROM_THE_BEGINNING, 60_000);
      assert.deepEqual([messages(first), first.missed, first.finished], [["1", "2"], 0, false]);
      clock.jump(1);
      const later = queue.follow(id, first.point, 60_000);
      await settled();
      await say(queue, lease, 3, 1);
      assert.deepEqual(messages(await later), ["3"]);
      const quiet = queue.follow(id, (await later).point, 2000);
      const from = clock.now();
      assert.deepEqual(messages(await clock.autojump(quiet)), []);
      assert.equal(clock.now() - from, 2000);
    }));

  it("counts the lines that came and went meanwhile", () =>
    open(async ({ queue }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue);
      await say(queue, lease, 1, 3);
      const { point } = await queue.follow(id, FROM_THE_BEGINNING, 0);
      await say(queue, lease, 4, MAX_LOG_LINES);
      await say(queue, lease, 4 + MAX_LOG_LINES, 5);
      const news = await queue.follow(id, point, 0);
      assert.deepEqual([news.missed, news.logs.length, messages(news)[0]], [5, MAX_LOG_LINES, "9"]);
      assert.equal(news.point.lines, MAX_LOG_LINES + 8);
    }));

  it("tells progress, a new attempt and the end", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      let news = await queue.follow(id, FROM_THE_BEGINNING, 0);
      const next = async (act: () => Promise<unknown>): Promise<TaskNews> => {
        clock.jump(1);
        const told = queue.follow(id, news.point, 60_000);
        await settled();
        await act();
        news = await told;
        return news;
      };
      let lease: Lease | undefined;
      const claim = async (): Promise<void> => {
        lease = (await claimOne(queue)).lease;
      };
      assert.equal((await next(claim)).task.state, "running");
      const held = (): Lease => lease ?? assert.fail();
      assert.deepEqual((await next(() => queue.note(held(), { progress: { done: 1 } }))).progress, {
        done: 1,
      });
      assert.equal((await next(() => queue.release(held(), "no"))).task.state, "queued");
      await next(claim);
      assert.equal((await next(() => queue.complete(held(), {}))).finished, true);
      assert.equal((await queue.follow(id, news.point, 60_000)).finished, true);
    }));

  it("refuses a task that is not known", () =>
    open(async ({ queue }) => {
      await assert.rejects(queue.follow("0".repeat(32), FROM_THE_BEGINNING, 0), code("E_TASK_NOT_FOUND"));
    }));

  it("tells the holder of a lease that it does not hold any more, and nobody too early", () =>
    open(async ({ queue, clock }) => {
      const id = await submitOne(queue);
      const { lease } = await claimOne(queue, 600_000);
      assert.equal(await clock.autojump(queue.lost(lease, 5000)), false);
      const from = clock.now();
      const lost = queue.lost(lease, 60_000);
      await settled();
      await queue.note(lease, { progress: { still: "mine" } });
      await queue.cancel(id, "nobody needs it");
      assert.equal(await lost, true);
      assert.equal(clock.now(), from);
      assert.equal(await queue.lost({ ...lease, token: 9 }, 60_000), true);
    }));

  it("tells the holder of a lease that ran out when somebody else has the task", () =>
    open(async ({ queue, clock }) => {
      await submitOne(queue);
      const { lease } = await claimOne(queue, 5000);
      const lost = queue.lost(lease, 60_000);
      await settled();
      clock.jump(5001);
      await claimOne(queue);
      assert.equal(await lost, true);
    }));
}
