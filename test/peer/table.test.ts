import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createPeerTable } from "../../src/peer/table.ts";
import { TestClock } from "../support/clock.ts";

describe("the table of peers", () => {
  it("lists the one heard of last first, and knows when each was heard itself", () => {
    const clock = new TestClock(1000);
    const table = createPeerTable({ clock });
    table.heard("a", { method: "inbound", connected: true });
    clock.jump(5);
    table.heard("b", { method: "bootstrap", multiaddrs: ["/b"] });
    assert.deepEqual(
      table.list().map(({ peerId, lastSeenMs, connected }) => [peerId, lastSeenMs, connected]),
      [
        ["b", undefined, false],
        ["a", 1000, true],
      ],
    );
    table.heard("a", { connected: false });
    assert.equal(table.get("a")?.lastSeenMs, 1000);
    assert.deepEqual(
      table.list().map(({ peerId }) => peerId),
      ["a", "b"],
    );
  });

  it("puts new addresses before old ones, each once, and not without end", () => {
    const table = createPeerTable({ clock: new TestClock() });
    table.heard("a", { multiaddrs: ["/1", "/2"] });
    table.heard("a", { multiaddrs: ["/3", "/2"] });
    assert.deepEqual(table.addresses("a"), ["/3", "/2", "/1"]);
    table.forgetAddress("a", "/2");
    assert.deepEqual(table.addresses("a"), ["/3", "/1"]);
    table.heard("a", { multiaddrs: Array.from({ length: 100 }, (_, i) => `/more/${i}`) });
    assert.equal(table.addresses("a").length, 16);
    table.forget("a");
    assert.deepEqual(table.addresses("a"), []);
  });

  it("is bounded: the one unheard for longest goes, those connected stay", () => {
    const table = createPeerTable({ clock: new TestClock(), capacity: 3 });
    table.heard("connected", { connected: true });
    for (const peerId of ["a", "b", "c", "d"]) table.heard(peerId, {});
    assert.deepEqual(
      table.list().map(({ peerId }) => peerId),
      ["d", "c", "connected"],
    );
  });
});
