/** How mechanisms say how they stand, by what is known of them. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bootstrapDiscovery } from "../../src/discovery/bootstrap.ts";
import { dhtFinding } from "../../src/discovery/dht/examine.ts";
import { createDnsaddr } from "../../src/discovery/dnsaddr.ts";
import { registryFindings, type RegistryState } from "../../src/discovery/github-issues/examine.ts";
import { mdnsFinding, type MdnsState } from "../../src/discovery/mdns/examine.ts";
import { peerFolderDiscovery } from "../../src/discovery/peer-folder.ts";
import { ServerBusyError } from "../../src/errors.ts";
import type { Discovery } from "../../src/peer/discovery.ts";
import { TestClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/node-process.ts";

const MDNS: MdnsState = {
  service: "_p2p._udp.local",
  browse: [],
  port: 5353,
  wanted: true,
  heard: 2,
  failure: undefined,
  interfaces: { used: ["eth0"], skipped: new Map([["lo", "loopback"]]) },
};
const REGISTRY: RegistryState = {
  repository: "a/b",
  title: "t",
  publish: true,
  waitMs: 0,
  issue: 3,
  records: 2,
  readFailure: undefined,
  writeFailure: undefined,
  renewInMs: 60_000,
  hasAddress: true,
};

function codes(state: Partial<RegistryState>): readonly string[] {
  return registryFindings({ ...REGISTRY, ...state }).map(({ code }) => code);
}

async function codesOf(discovery: Discovery): Promise<readonly string[]> {
  const findings = (await discovery.examine?.(new AbortController().signal)) ?? [];
  return findings.map(({ code }) => code);
}

describe("multicast DNS says how it stands", () => {
  it("with the interfaces that it uses, and those that it skips and why", () => {
    const { level, what } = mdnsFinding(MDNS);
    assert.equal(level, "ok");
    assert.match(what, /_p2p\._udp\.local on eth0; not on lo \(loopback\); 2 peers/);
  });

  it("when it is not in use, cannot open its port, or has no interface", () => {
    const failure = new Error("bind EACCES");
    const none = { used: [], skipped: new Map([["eth0", "no IPv4 address"]]) };
    assert.equal(mdnsFinding({ ...MDNS, wanted: false }).code, "mdns-idle");
    assert.match(mdnsFinding({ ...MDNS, interfaces: undefined, failure }).what, /5353 .*EACCES/);
    assert.equal(mdnsFinding({ ...MDNS, interfaces: none }).code, "mdns-no-interface");
  });
});

describe("the DHT says how it stands", () => {
  it("with its mode, its routing table and who keeps the record", () => {
    const { code, what } = dhtFinding({ mode: "client", neighbours: 7, keepers: 3, entries: 1 });
    assert.equal(code, "dht-entered");
    assert.match(what, /only asks.* 7 nodes .* 3 keep/);
  });

  it("to be alone, which is a problem only if there is an entry", () => {
    const alone = { mode: "server", neighbours: 0, keepers: undefined } as const;
    assert.equal(dhtFinding({ ...alone, entries: 1 }).level, "problem");
    assert.equal(dhtFinding({ ...alone, entries: 0 }).level, "note");
  });
});

describe("the registry says how it stands", () => {
  it("with the issue and the own record", () => {
    assert.deepEqual(codes({}), ["registry-read", "registry-published"]);
    assert.deepEqual(codes({ publish: false }), ["registry-read", "registry-only-read"]);
    assert.deepEqual(codes({ renewInMs: undefined, hasAddress: false }), [
      "registry-read",
      "registry-no-address",
    ]);
  });

  it("with GitHub's limit and the last failure", () => {
    const limited = new ServerBusyError("GitHub says 403, rate limit exceeded", 90_000);
    const state = { readFailure: limited, waitMs: 90_000, writeFailure: limited, renewInMs: undefined };
    assert.deepEqual(codes(state), ["registry-unread", "registry-waits", "registry-unwritten"]);
    assert.match(registryFindings({ ...REGISTRY, ...state })[1]?.what ?? "", /another 90 s/);
  });
});

describe("the folder of peers says how it stands", () => {
  it("when it is not there, and when it is without this node's file", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "peers");
    const discovery = peerFolderDiscovery({ folder: path });
    assert.deepEqual(await codesOf(discovery), ["peer-folder-missing"]);
    await mkdir(path, { mode: 0o700 });
    assert.deepEqual(await codesOf(discovery), ["peer-folder-not-written"]);
  });
});

describe("bootstrap says what its names stand for", () => {
  const listed = ["/dnsaddr/there.test", "/dnsaddr/nobody.test", "/ip4/192.0.2.1/tcp/1"];

  it("or that nobody knows them", async () => {
    const dnsaddr = createDnsaddr({
      clock: new TestClock(0),
      lookup: (name) =>
        Promise.resolve(name === "_dnsaddr.there.test" ? ["dnsaddr=/ip4/192.0.2.7/tcp/1"] : []),
    });
    assert.deepEqual(await codesOf(bootstrapDiscovery(listed, { dnsaddr })), ["dnsaddr", "dnsaddr-unknown"]);
  });

  it("or that they must not be looked up", async () => {
    assert.deepEqual(await codesOf(bootstrapDiscovery(listed)), ["dnsaddr-off", "dnsaddr-off"]);
  });
});
