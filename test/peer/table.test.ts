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

  it("does not lose addresses that were right, or that the owner gave, to whatever others claim", () => {
    const table = createPeerTable({ clock: new TestClock() });
    table.heard("a", { multiaddrs: ["/given"], method: "explicit" });
    table.heard("a", { multiaddrs: ["/right"], connected: true });
    for (const more of ["x", "y"])
      table.heard("a", { multiaddrs: Array.from({ length: 16 }, (_, i) => `/${more}/${i}`), method: "mdns" });
    assert.equal(table.addresses("a").length, 16);
    assert.equal(table.addresses("a")[0], "/y/0");
    assert.ok(table.addresses("a").includes("/given"));
    assert.ok(table.addresses("a").includes("/right"));
    table.forgetAddress("a", "/right");
    table.heard("a", { multiaddrs: ["/z"], method: "mdns" });
    assert.equal(table.addresses("a").includes("/right"), false);
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

function ids(table: ReturnType<typeof createPeerTable>): readonly string[] {
  return table.list().map(({ peerId }) => peerId);
}

describe("a full table of peers", () => {
  it("lets strangers go first, and never keeps more than so many", () => {
    const table = createPeerTable({ clock: new TestClock(), capacity: 100, strangers: 2 });
    table.heard("found", { method: "bootstrap" });
    table.heard("worker", { method: "inbound", trusted: true });
    for (const id of ["s1", "s2", "s3"]) {
      table.heard(id, { method: "inbound", connected: true });
      table.heard(id, { connected: false });
    }
    assert.deepEqual(ids(table), ["s3", "s2", "worker", "found"]);
  });

  it("is not taken over by one mechanism that names many", () => {
    const table = createPeerTable({ clock: new TestClock(), capacity: 10 });
    table.heard("file", { method: "announce-file" });
    table.heard("seen", { method: "dht", seen: true });
    for (let i = 0; i < 100; i++) table.heard(`flood${i}`, { method: "dht" });
    assert.equal(table.list().length, 10);
    assert.ok(ids(table).includes("file"));
    assert.ok(ids(table).includes("seen"));
    assert.equal(ids(table)[0], "flood99");
  });

  it("says who is new, once", () => {
    const table = createPeerTable({ clock: new TestClock() });
    const heard: string[] = [];
    const end = table.onNew(({ peerId }) => heard.push(peerId));
    table.heard("a", {});
    table.heard("a", { connected: true });
    end();
    table.heard("b", {});
    assert.deepEqual(heard, ["a"]);
  });
});
