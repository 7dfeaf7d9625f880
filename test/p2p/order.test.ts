import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../../src/logger.ts";
import { createDiscoveries, createMechanisms, type DiscoveryConfig } from "../../src/discovery/index.ts";
import { DEFAULT_SEARCH_ORDER, inOrder, KNOWN } from "../../src/p2p/order.ts";

const EVERYTHING: Required<Omit<DiscoveryConfig, "dnsaddr">> = {
  announceFiles: ["/nowhere"],
  bootstrap: ["/ip4/192.0.2.1/tcp/1"],
  publicBootstrap: true,
  peerFolder: { folder: "/nowhere", logger: silentLogger },
  rendezvous: { points: [], namespace: "test", server: true, unsigned: false },
  dht: { network: "private", mode: "auto", bootstrap: [], namespace: "test" },
  mdns: { mode: "auto" },
  githubIssues: {
    repository: "a/b",
    title: "t",
    api: "http://127.0.0.1:1",
    token: { from: "none" },
    ttlMs: 60_000,
    refreshMs: 60_000,
    authors: [],
    oldAuthors: [],
    publish: false,
    localAddresses: false,
    cleanup: false,
  },
};

describe("the order in which mechanisms are asked", () => {
  it("has a place for every mechanism on the shelf, and for nothing else", async () => {
    const shelf = [...createDiscoveries(EVERYTHING), ...(await createMechanisms(EVERYTHING))];
    const names = [KNOWN, ...shelf.map(({ name }) => name)];
    assert.deepEqual(names.toSorted(), DEFAULT_SEARCH_ORDER.toSorted());
  });

  it("is as wanted first, then the default, then whatever has no place", () => {
    const sources = ["mdns", "other", "dht", KNOWN].map((name) => ({ name }));
    const names = inOrder(sources, ["mdns"]).map(({ name }) => name);
    assert.deepEqual(names, ["mdns", KNOWN, "dht", "other"]);
  });
});
