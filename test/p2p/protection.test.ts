import assert from "node:assert/strict";
import { chmod, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { peerIdFromString } from "@libp2p/peer-id";
import type { Connection } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { Logger } from "../../src/logger.ts";
import { Access } from "../../src/p2p/access.ts";
import { AddressLedger, partyOf } from "../../src/p2p/address-ledger.ts";
import { Bucket } from "../../src/p2p/bucket.ts";
import { Budgets } from "../../src/p2p/budget.ts";
import { DEFAULT_P2P_LIMITS, newIdentity, peerIdOf, readSwarmKey } from "../../src/p2p/index.ts";
import { Offences } from "../../src/p2p/offences.ts";
import { createSwarmKey, newSwarmKey } from "../../src/p2p/swarm-key.ts";
import { silentLogger } from "../../src/logger.ts";
import { TestClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/node-process.ts";
import { addressOf, echo, hello, until, withHosts } from "./hosts.ts";
import { frames, rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };

function recording(): { readonly logger: Logger; readonly lines: { readonly [fact: string]: unknown }[] } {
  const lines: { readonly [fact: string]: unknown }[] = [];
  const warn = (facts: object): void => void lines.push({ ...facts });
  const logger: Logger = { ...silentLogger, warn, child: () => logger };
  return { logger, lines };
}

function budgets(clock: TestClock, limits = {}): { readonly all: Budgets; readonly kept: string[] } {
  const kept: string[] = [];
  const every = { ...DEFAULT_P2P_LIMITS, ...limits };
  const offences = new Offences({ clock, logger: silentLogger, limits: every });
  const onKeptOut = (peerId: string): void => void kept.push(peerId);
  return { all: new Budgets({ clock, limits: every, offences, onKeptOut }), kept };
}

const newId = async (): Promise<string> => peerIdOf(await newIdentity());
/** How many bytes come first in answer to a question of identify, 0 if it is reset; its stream stays open here. */
async function answerBytes(connection: Connection): Promise<number> {
  const stream = await connection.newStream("/ipfs/id/1.0.0", { maxOutboundStreams: 8 });
  // Not read to the end: libp2p's iteration misses an end that is there before it begins.
  for await (const chunk of stream) return chunk.byteLength;
  return 0;
}

describe("strangers", () => {
  it("may ask who a node is while an earlier question of theirs is still open", LIMIT, () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      // Its own libp2p would not ask twice at once, as others do.
      await raw.node.unhandle("/ipfs/id/1.0.0");
      const connection = await raw.node.dial(multiaddr(addressOf(await open())));

      const answers = await Promise.all([1, 2, 3].map(() => answerBytes(connection)));

      assert.ok(
        answers.every((bytes) => bytes > 0),
        answers.join(" "),
      );
    }),
  );
});

describe("access lists", () => {
  it("refuse what is denied even if it is allowed too, and what is not allowed if anything is", async () => {
    const [bad, good, other] = [await newId(), await newId(), await newId()];
    const access = new Access({
      denyPeers: [bad],
      onlyPeers: [bad, good],
      denyAddresses: ["10.1.0.0/16", "2001:db8::/32"],
      onlyAddresses: ["10.0.0.0/8", "2001:db8::1"],
    });
    assert.equal(access.refusesPeer(bad), "on the deny list");
    assert.equal(access.refusesPeer(good), undefined);
    assert.equal(access.refusesPeer(other), "not on the allow list");
    assert.equal(access.refusesAddress("10.1.2.3"), "on the deny list");
    assert.equal(access.refusesAddress("10.2.2.3"), undefined);
    assert.equal(access.refusesAddress("192.0.2.1"), "not on the allow list");
    assert.equal(access.refusesAddress("2001:db8::1"), "on the deny list");
  });

  it("are refused with an address that is none", () => {
    for (const entry of ["10.0.0.0/33", "10.0.0", "10.0.0.0/8/8", "host", "::1/x"])
      assert.throws(() => new Access({ denyAddresses: [entry] }), { code: "E_CONFIG" });
  });

  it("mean the same peer however its id is written, and are refused with an id that is none", async () => {
    const id = peerIdFromString(await newId());
    const access = new Access({ denyPeers: [id.toCID().toString()] });
    assert.equal(access.refusesPeer(id.toString()), "on the deny list");
    for (const text of ["12D3KooWtypo", "nobody", ""]) {
      assert.throws(() => new Access({ denyPeers: [text] }), { code: "E_CONFIG" });
      assert.throws(() => new Access({ onlyPeers: [text] }), { code: "E_CONFIG" });
    }
  });

  it("end connections that are open, and let new ones in again, without a restart", LIMIT, () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open();
      const address = addressOf(host);
      const connection = await raw.node.dial(multiaddr(address));
      await until(() => host.stats().connections === 1);
      host.setAccess({ denyPeers: [raw.node.peerId.toString()] });
      await until(() => connection.status !== "open");
      await assert.rejects(async () =>
        (await raw.open(address)).closed.then(() => Promise.reject(new Error("reset"))),
      );
      host.setAccess({});
      const stream = await raw.open(address);
      stream.send({ jsonrpc: "2.0", id: 1, method: "mcp++/test.hello", params: { value: 1 } });
      await until(() => stream.messages.length === 1);
    }),
  );

  it("say at the dialling side that they are the cause", LIMIT, () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      a.setAccess({ denyPeers: [b.peerId] });
      await assert.rejects(a.rpc.call({ multiaddr: addressOf(b) }, hello, { value: 1 }), /own access lists/);
      a.setAccess({ denyAddresses: ["127.0.0.0/8"] });
      await assert.rejects(a.rpc.call({ multiaddr: addressOf(b) }, hello, { value: 1 }), {
        code: "E_UNREACHABLE",
      });
    }),
  );
});

describe("a private swarm", LIMIT, () => {
  it("is reached with its key only, and the other side is told why", () =>
    withHosts(async (open) => {
      const key = newSwarmKey();
      const [a, b] = [await open({ swarmKey: key }), await open({ swarmKey: key })];
      const [without, other] = [await open(), await open({ swarmKey: newSwarmKey() })];
      const target = { multiaddr: addressOf(a) };
      assert.deepEqual(await b.rpc.call(target, echo, { value: 1 }), { value: 1 });
      for (const host of [without, other])
        await assert.rejects(host.rpc.call(target, echo, { value: 1 }), /swarm/);
    }));

  it("has a key in the format of all of libp2p, in a file that only its owner reads and that is never overwritten", async () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "swarm.key");
    await createSwarmKey(file);
    assert.match(await readFile(file, "utf8"), /^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n$/);
    assert.match(await readSwarmKey(file), /^\/key/);
    await assert.rejects(createSwarmKey(file), { code: "E_CONFIG" });
    await chmod(file, 0o644);
    await assert.rejects(readSwarmKey(file), /readable by others/);
  });
});

describe("the allowance of a peer", () => {
  it("is a stranger's for what it asks, also when this node works with it", () => {
    const clock = new TestClock();
    const offences = new Offences({ clock, logger: silentLogger, limits: DEFAULT_P2P_LIMITS });
    let keptOut = 0;
    const onKeptOut = (): void => void (keptOut += 1);
    const budget = new Budgets({ clock, limits: DEFAULT_P2P_LIMITS, offences, onKeptOut }).opened("peer");
    budget.markUsed();
    for (let i = 0; i < 40; i++) assert.ok(budget.takeMessage());
    assert.equal(budget.takeMessage(), false);
    for (let i = 0; i < 30; i++) budget.offend("too many messages", "a flood");
    assert.equal(keptOut, 1);
  });

  it("is one for all its connections", LIMIT, () =>
    withHosts(async (open) => {
      const host = await open({ limits: { maxStreams: 3, maxPeerConnections: 2 } });
      await using raw = await rawPeer();
      const address = multiaddr(addressOf(host));
      const first = await raw.node.dial(address);
      const second = await raw.node.dial(address, { force: true });
      await until(() => host.stats().connections === 2);
      const open4 = [first, first, second, second].map((each) => each.newStream("/mcp+p2p/1.0.0"));
      const streams = await Promise.all(open4);
      for (const stream of streams)
        if (stream.status === "open") stream.send(frames({ jsonrpc: "2.0", method: "x" }));
      await until(() => streams.filter(({ status }) => status === "reset").length >= 1);
      await raw.node.dial(address, { force: true }).then(
        (third) => until(() => third.status !== "open"),
        () => undefined,
      );
      assert.equal(host.stats().connections, 2);
    }),
  );

  it("is not made new by going away and coming back", () => {
    const clock = new TestClock();
    const { all } = budgets(clock);
    const budget = all.opened("peer");
    for (let i = 0; i < 40; i++) assert.ok(budget.takeMessage());
    all.closed(budget);
    assert.equal(all.opened("peer").takeMessage(), false);
    all.closed(budget);
    clock.jump(DEFAULT_P2P_LIMITS.rememberMs);
    all.forgetGone(clock.now());
    assert.equal(all.size, 0);
    assert.ok(all.of("peer").takeMessage());
  });

  it("is kept for a bounded number of peers that are gone", () => {
    const { all } = budgets(new TestClock(), { maxRememberedPeers: 10 });
    const here = all.opened("here");
    for (let i = 0; i < 100; i++) all.closed(all.opened(`peer ${i}`));
    assert.ok(all.size <= 11, `${all.size}`);
    assert.equal(all.peek("here"), here);
  });

  it("ends in being kept out for a while, for strangers that flood and for anybody who sends what is no message", () => {
    const clock = new TestClock();
    const { all, kept } = budgets(clock, { maxStrikes: 3 });
    const known = all.opened("known");
    known.markKnown();
    for (let i = 0; i < 10; i++) known.offend("too many streams", "");
    assert.deepEqual(kept, []);
    for (let i = 0; i < 4; i++) known.offend("broken message", "");
    assert.deepEqual(kept, ["known"]);
    assert.ok(known.isKeptOut);
    clock.jump(DEFAULT_P2P_LIMITS.keepOutMs);
    assert.equal(known.isKeptOut, false);
  });
});

describe("offences", () => {
  it("are one line for each kind and peer in a window, which says how many there were before", () => {
    const clock = new TestClock();
    const { logger, lines } = recording();
    const offences = new Offences({ clock, logger, limits: DEFAULT_P2P_LIMITS });
    for (let i = 0; i < 1000; i++) offences.note({ who: "a", kind: "broken message", reason: "x" });
    offences.note({ who: "a", kind: "too many messages", reason: "x" });
    assert.equal(lines.length, 2);
    clock.jump(DEFAULT_P2P_LIMITS.logWindowMs);
    offences.note({ who: "a", kind: "broken message", reason: "x" });
    assert.deepEqual(
      lines.map(({ before }) => before),
      [0, 0, 999],
    );
    assert.equal(offences.count, 1002);
  });

  it("of a crowd do not fill the log either", () => {
    const { logger, lines } = recording();
    const offences = new Offences({ clock: new TestClock(), logger, limits: DEFAULT_P2P_LIMITS });
    for (let i = 0; i < 10_000; i++) offences.note({ who: `peer ${i}`, kind: "broken message", reason: "x" });
    assert.ok(lines.length < 50, `${lines.length}`);
  });
});

function refusal(ledger: AddressLedger): string {
  const answer = ledger.admit("192.0.2.1");
  return typeof answer === "string" ? answer : "";
}

/** A request of about ten kilobytes that anybody may make. */
function large(id: number): object {
  return { jsonrpc: "2.0", id, method: "mcp++/test.hello", params: { value: "x".repeat(10_000) } };
}

describe("connections by address", () => {
  it("are bounded for open ones, for handshakes, and in their rate", () => {
    const clock = new TestClock();
    const limits = {
      ...DEFAULT_P2P_LIMITS,
      maxAddressConnections: 3,
      maxAddressPending: 2,
      addressBurst: 4,
      addressPerSecond: 1,
    };
    const ledger = new AddressLedger(clock, limits);
    const admitted = [ledger.admit("192.0.2.1"), ledger.admit("192.0.2.1")];
    assert.match(refusal(ledger), /have not said who they are/);
    for (const one of admitted) if (typeof one !== "string") one.ready();
    const third = ledger.admit("192.0.2.1");
    assert.equal(typeof third, "object");
    assert.match(refusal(ledger), /are open/);
    if (typeof third !== "string") third.gone();
    const fourth = ledger.admit("192.0.2.1");
    if (typeof fourth !== "string") fourth.gone();
    assert.match(refusal(ledger), /too fast/);
    assert.equal(typeof ledger.admit("192.0.2.2"), "object");
  });

  it("of IPv6 are counted by the /64 that one party has", () => {
    assert.equal(partyOf("2001:db8:1:2:3:4:5:6"), partyOf("2001:db8:1:2::9"));
    assert.notEqual(partyOf("2001:db8:1:2::9"), partyOf("2001:db8:1:3::9"));
    assert.equal(partyOf("::ffff:192.0.2.1"), "192.0.2.1");
    assert.equal(partyOf("::1"), partyOf("0:0:0:0:0:0:0:2"));
  });
});

describe("a bucket", () => {
  it("says how long to wait for what was taken too much", () => {
    const clock = new TestClock();
    const bucket = new Bucket(clock, 10, 100);
    assert.equal(bucket.spend(10), 0);
    assert.equal(bucket.spend(5), 50);
    clock.jump(50);
    assert.equal(bucket.spend(0), 0);
    assert.equal(bucket.take(), false);
  });
});

describe("bytes of a stranger", LIMIT, () => {
  it("are read at its rate and no faster, and all of them in the end", () =>
    withHosts(async (open) => {
      const key = await newIdentity();
      const limits = { strangerBytesBurst: 4096, strangerBytesPerSecond: 100_000, strangerBurst: 1000 };
      const host = await open({ privateKey: key, trustLoopback: false, limits });
      assert.equal(host.peerId, peerIdOf(key));
      await using raw = await rawPeer();
      const stream = await raw.open(addressOf(host));
      const begin = performance.now();
      for (let id = 0; id < 4; id++) stream.send(large(id));
      // What has come in one piece is read in one piece; the next one waits for it.
      await until(() => stream.messages.length === 4);
      stream.send(large(4));
      await until(() => stream.messages.length === 5);
      assert.ok(performance.now() - begin > 300, `${performance.now() - begin} ms`);
    }));
});
