import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  ASKING_MS,
  MAX_GOSSIPED_MEMBERS,
  MAX_MEMBERS,
  Membership,
  membersSchema,
} from "../../../src/workflow/scheduler/index.ts";
import { TestClock } from "../../support/clock.ts";

const TIMEOUT_MS = 10_000;

function nodes(clock: TestClock, count: number): readonly Membership[] {
  return Array.from(
    { length: count },
    (_, i) => new Membership({ clock, selfId: `n${i}`, weight: i + 1, timeoutMs: TIMEOUT_MS }),
  );
}

const byId = (members: Membership): unknown =>
  members.candidates().toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1));

describe("the view of the members", () => {
  it("becomes the same on all nodes, whoever talks to whom in which order", () => {
    const talks = fc.array(fc.tuple(fc.nat(5), fc.nat(5), fc.nat(300)), { maxLength: 60 });
    fc.assert(
      fc.property(talks, fc.subarray([0, 1, 2, 3, 4, 5]), (pairs, asking) => {
        const clock = new TestClock();
        const all = nodes(clock, 6);
        for (const i of asking) all[i]?.asked(`n${i}`);
        for (const [a, b, ms] of pairs) {
          const [from, to] = [all[a], all[b]];
          if (from && to && from !== to) to.merge(from.view(), from.selfId);
          clock.jump(ms / 100);
        }
        // Round the ring twice: everything reaches everybody.
        for (let i = 0; i < 12; i++) {
          const [from, to] = [all[i % 6], all[(i + 1) % 6]];
          if (from && to) to.merge(from.view(), from.selfId);
        }
        for (const one of all) assert.deepEqual(byId(one), byId(all[0] ?? one));
        assert.equal(all[0]?.candidates().length, asking.length);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps nobody alive by hearsay: an age travels, not an instant", () => {
    const clock = new TestClock();
    const [a, b, c] = nodes(clock, 3);
    assert.ok(a && b && c);
    a.merge(c.view(), "n2");
    for (let i = 0; i < 20; i++) {
      clock.jump(TIMEOUT_MS / 10);
      a.merge(b.view(), "n1");
      b.merge(a.view(), "n0");
    }
    assert.deepEqual(a.live(), ["n0", "n1"]);
    assert.deepEqual(b.live(), ["n1", "n0"]);
  });

  it("has no owner that has not asked for long, and has it again when it asks", () => {
    const clock = new TestClock();
    const [a] = nodes(clock, 1);
    assert.ok(a);
    a.asked("worker");
    assert.deepEqual(byId(a), [{ peerId: "worker", weight: 1 }]);
    for (let ms = 0; ms <= ASKING_MS; ms += 1000) {
      a.heard("worker");
      clock.jump(1000);
    }
    assert.deepEqual(byId(a), []);
    a.asked("worker");
    assert.deepEqual(byId(a), [{ peerId: "worker", weight: 1 }]);
  });

  it("believes nobody about this node, and a peer's weight from itself", () => {
    const clock = new TestClock();
    const [a, b] = nodes(clock, 2);
    assert.ok(a && b);
    a.merge([{ peerId: "n0", weight: 200, heardAgoMs: 0, askedAgoMs: 0 }], "n1");
    assert.deepEqual(a.candidates(), []);
    b.asked("n1");
    a.merge(b.view(), "n1");
    assert.deepEqual(a.candidates(), [{ peerId: "n1", weight: 2 }]);
  });

  it("is bounded, in memory and in a message", () => {
    const clock = new TestClock();
    const [a] = nodes(clock, 1);
    assert.ok(a);
    for (let i = 0; i < MAX_MEMBERS + 50; i++) {
      clock.jump(1);
      a.heard(`stranger${i}`);
    }
    assert.equal(a.inOrder().length, MAX_MEMBERS);
    assert.equal(a.inOrder()[0], "n0");
    assert.ok(!a.isLive("stranger0"));
    const view = a.view();
    assert.equal(view.length, MAX_GOSSIPED_MEMBERS);
    assert.ok(membersSchema.safeParse(view).success);
    assert.ok(!membersSchema.safeParse([...view, ...view]).success);
    assert.ok(!membersSchema.safeParse([{ peerId: "x", weight: 1e9, heardAgoMs: 0 }]).success);
    assert.ok(JSON.stringify(view).length < 32_000);
  });
});
