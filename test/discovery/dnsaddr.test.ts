import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as z from "zod";
import { createDnsaddr, dnsaddrMechanism } from "../../src/discovery/dnsaddr.ts";
import { bootstrapDiscovery } from "../../src/discovery/index.ts";
import { txtLookup } from "../../src/discovery/dnsaddr.ts";
import { TestClock } from "../support/clock.ts";
import { startDnsServer } from "../support/dns-server.ts";
import { addressOf, hello, withHosts } from "../p2p/hosts.ts";
import { discoveryConformance } from "./conformance.ts";

const A = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const B = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
const NEVER = new AbortController().signal;

discoveryConformance("a bootstrap address that is a name", async () => {
  const address = `/ip6/2001:db8::1/tcp/4001/p2p/${A}`;
  const server = await startDnsServer({ "_dnsaddr.one.test": [`dnsaddr=${address}`] });
  const dnsaddr = createDnsaddr({ lookup: txtLookup([server.address]) });
  return {
    discovery: bootstrapDiscovery(["/dnsaddr/one.test"], { dnsaddr }),
    peerId: A,
    multiaddr: address,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

const vectors = z
  .object({
    dnsaddr_expansion: z.array(
      z.object({
        input: z.array(z.string()),
        txt_records: z.array(z.string()),
        expanded: z.array(z.string()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(new URL("../vectors/discovery.json", import.meta.url), "utf8")));

describe("names that stand for addresses", () => {
  for (const { input, txt_records, expanded } of vectors.dnsaddr_expansion)
    it(`are expanded in the recorded order: ${input[0]}`, async () => {
      const records = txt_records.map((text) => `dnsaddr=${text}`);
      await using server = await startDnsServer(
        records.length > 0 ? { "_dnsaddr.boot.example": records } : {},
      );
      const dnsaddr = createDnsaddr({ lookup: txtLookup([server.address]) });
      assert.deepEqual(await dnsaddr.expand(input, NEVER), expanded);
    });

  it("are asked for once, again after ten minutes, and half a minute after a failure", async () => {
    const clock = new TestClock();
    let asked = 0;
    let records: readonly string[] = [];
    const lookup = async (): Promise<readonly string[]> => {
      asked += 1;
      if (records.length === 0) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
      return records;
    };
    const dnsaddr = createDnsaddr({ clock, lookup });
    const expand = (): Promise<readonly string[]> => dnsaddr.expand(["/dnsaddr/a.test"], NEVER);
    assert.deepEqual([await expand(), await expand(), asked], [["/dnsaddr/a.test"], ["/dnsaddr/a.test"], 1]);
    records = [`dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/${A}`];
    clock.jump(30_000);
    assert.deepEqual([await expand(), asked], [[`/ip4/192.0.2.1/tcp/1/p2p/${A}`], 2]);
    clock.jump(599_999);
    assert.deepEqual([(await expand()).length, asked], [1, 2]);
    clock.jump(1);
    assert.deepEqual([(await expand()).length, asked], [1, 3]);
  });

  it("may lead to names, three deep, and in a circle to no end", async () => {
    await using server = await startDnsServer({
      "_dnsaddr.one.test": ["dnsaddr=/dnsaddr/two.test"],
      "_dnsaddr.two.test": ["dnsaddr=/dnsaddr/three.test"],
      "_dnsaddr.three.test": ["dnsaddr=/dnsaddr/four.test", `dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/${A}`],
      "_dnsaddr.four.test": [`dnsaddr=/ip4/192.0.2.4/tcp/1/p2p/${A}`],
      "_dnsaddr.round.test": ["dnsaddr=/dnsaddr/round.test", "dnsaddr=/dnsaddr/round.test"],
    });
    const dnsaddr = createDnsaddr({ lookup: txtLookup([server.address]) });
    assert.deepEqual(await dnsaddr.expand(["/dnsaddr/one.test"], NEVER), [
      `/ip4/192.0.2.1/tcp/1/p2p/${A}`,
      "/dnsaddr/four.test",
    ]);
    assert.deepEqual(await dnsaddr.expand(["/dnsaddr/round.test"], NEVER), ["/dnsaddr/round.test"]);
    assert.ok(!server.asked.includes("_dnsaddr.four.test"));
  });

  it("that nobody answers for are given up after 2.5 s, and at once when the search ends", async () => {
    const clock = new TestClock();
    await using server = await startDnsServer({ "_dnsaddr.mute.test": "silent" });
    const dnsaddr = createDnsaddr({ clock, lookup: txtLookup([server.address]) });
    const asking = dnsaddr.expand(["/dnsaddr/mute.test"], NEVER);
    while (server.asked.length === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    clock.jump(2500);
    assert.deepEqual(await asking, ["/dnsaddr/mute.test"]);

    clock.jump(30_000);
    const ended = new AbortController();
    const asking2 = dnsaddr.expand(["/dnsaddr/mute.test"], ended.signal);
    while (server.asked.length < 2) await new Promise<void>((resolve) => setImmediate(resolve));
    ended.abort(new Error("found elsewhere"));
    await assert.rejects(asking2, /found elsewhere/);
  });

  it("keep out what is no address, and what belongs to another peer", async () => {
    await using server = await startDnsServer({
      "_dnsaddr.mix.test": [
        "v=spf1 -all",
        "dnsaddr=nonsense",
        `dnsaddr=/ip4/192.0.2.2/tcp/2/p2p/${B}`,
        `dnsaddr=/ip4/192.0.2.1/tcp/1/p2p/${A}`,
      ],
    });
    const dnsaddr = createDnsaddr({ lookup: txtLookup([server.address]) });
    const discovery = bootstrapDiscovery(["/dnsaddr/mix.test", `/dnsaddr/mix.test/p2p/${B}`], { dnsaddr });
    assert.deepEqual(await discovery.find(A, NEVER), [
      { peerId: A, multiaddrs: [`/ip4/192.0.2.1/tcp/1/p2p/${A}`], method: "bootstrap" },
    ]);
    assert.equal(server.asked.length, 1);
  });

  it("can be dialled where names are looked up, and nowhere else", async () => {
    await withHosts(async (open) => {
      const far = await open();
      await using server = await startDnsServer({ "_dnsaddr.far.test": [`dnsaddr=${addressOf(far)}`] });
      const dnsaddr = createDnsaddr({ lookup: txtLookup([server.address]) });
      const near = await open({ mechanisms: [dnsaddrMechanism(dnsaddr)] });
      const multiaddr = `/dnsaddr/far.test/p2p/${far.peerId}`;
      assert.deepEqual(await near.rpc.call({ multiaddr }, hello, { value: 1 }), { value: 1 });

      const plain = await open();
      await assert.rejects(plain.rpc.call({ multiaddr }, hello, { value: 1 }), { code: "E_UNREACHABLE" });
      assert.equal(server.asked.length, 1);
    });
  });
});
