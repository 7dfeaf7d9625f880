import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  defer,
  moveOnAfter,
  openNursery,
  sleep,
  sleepForever,
  TimeoutError,
} from "../../src/nursery/index.ts";
import { boom, groupOf, virtual } from "./support.ts";

async function endless(): Promise<void> {
  await using _cleanup = defer(50, sleepForever);
}

describe("defer", () => {
  it("runs when the block ends, in reverse order, shielded from the cancellation that ended it", () =>
    virtual(async () => {
      const record: string[] = [];
      await moveOnAfter(5, async () => {
        await using _first = defer(1000, async () => {
          await sleep(5);
          record.push("first");
        });
        await using _second = defer(1000, async () => {
          await sleep(5);
          record.push("second");
        });
        await sleepForever();
      });
      assert.deepEqual(record, ["second", "first"]);
    }));

  it("does not hold the block for longer than its limit", () =>
    virtual(async () => {
      await assert.rejects(endless(), TimeoutError);
    }));

  it("that fails is reported beside the failure of the block", () =>
    assert.rejects(
      openNursery(async () => {
        await using _cleanup = defer(100, () => boom("disk full"));
        boom("body");
      }),
      groupOf("Error: body", "Error: disk full"),
    ));
});
