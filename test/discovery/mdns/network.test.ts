/** Multicast DNS over real sockets: on the loopback interface, and between namespaces. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { randomBytes, randomInt } from "node:crypto";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { type Answer, decode, encode, type Packet } from "dns-packet";
import * as z from "zod";
import type { Client } from "../../../src/client/index.ts";
import { systemClock } from "../../../src/clock.ts";
import { connect } from "../../../src/connect.ts";
import { type MdnsNode, type MdnsOptions, openMdns } from "../../../src/discovery/mdns.ts";
import { silentLogger } from "../../../src/logger.ts";
import { type NurseryHost, openHost } from "../../../src/nursery/index.ts";
import type { Discovery } from "../../../src/peer/discovery.ts";
import { temporaryFolder } from "../../support/node-process.ts";
import {
  ADVERTISED,
  advertiserConformance,
  discoveryConformance,
  type MovableSelf,
  selfAt,
  untilFound,
} from "../conformance.ts";
import { noNamespaces, openLan } from "./lan.ts";

const OTHER = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
const GROUP = "224.0.0.251";
/** News travels in a tenth of a second; the rest is for a machine that has much else to do. */
const WITHIN_MS = 10_000;

/** A service and port of this test alone, so that other nodes of the machine do not show. */
function apart(): MdnsOptions & { readonly port: number; readonly service: string } {
  const service = `_t${randomBytes(6).toString("hex")}._udp.local`;
  return { mode: "loopback", service, browse: [], port: randomInt(20_000, 30_000) };
}

interface OpenNode extends AsyncDisposable {
  readonly discovery: Discovery;
  readonly host: NurseryHost;
}

function openNode(self: MovableSelf, options: MdnsOptions, changes: Partial<MdnsNode> = {}): OpenNode {
  const host = openHost({ clock: systemClock, name: "mdns test" });
  const { nursery } = host;
  const node = { ...self, nursery, clock: systemClock, logger: silentLogger, ...changes };
  return { discovery: openMdns(node, options), host, [Symbol.asyncDispose]: () => host.close() };
}

/** An advertiser and a reader; what the advertiser says follows whatever self it is told to advertise. */
function pair(): { readonly near: OpenNode; readonly far: OpenNode } {
  const options = apart();
  const far = openNode(selfAt([], OTHER), options);
  let self = selfAt([]);
  const listeners = new Set<() => void>();
  const near = openNode(self, options, {
    multiaddrs: () => self.multiaddrs(),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const discovery: Discovery = {
    ...near.discovery,
    advertise(told) {
      self = selfAt([], told.peerId);
      const follow = (): void => {
        self = { ...self, multiaddrs: () => told.multiaddrs() };
        for (const listener of listeners) listener();
      };
      told.onChange(follow);
      follow();
      return near.discovery.advertise?.(told) ?? Promise.resolve();
    },
  };
  return { near: { ...near, discovery }, far };
}

discoveryConformance("multicast DNS", async () => {
  const { near, far } = pair();
  const address = "/ip4/127.0.0.1/tcp/4001";
  near.host.nursery.startSoon(async () => near.discovery.advertise?.(selfAt([address])));
  await untilFound(far.discovery, (hints) => hints.length > 0, WITHIN_MS);
  return {
    discovery: far.discovery,
    peerId: ADVERTISED,
    multiaddr: `${address}/p2p/${ADVERTISED}`,
    async [Symbol.asyncDispose]() {
      await near[Symbol.asyncDispose]();
      await far[Symbol.asyncDispose]();
    },
  };
});

advertiserConformance("multicast DNS", async () => {
  const { near, far } = pair();
  return {
    advertiser: near.discovery,
    reader: far.discovery,
    address: (number) => `/ip4/127.0.0.1/tcp/${4000 + number}`,
    withinMs: WITHIN_MS,
    async [Symbol.asyncDispose]() {
      await near[Symbol.asyncDispose]();
      await far[Symbol.asyncDispose]();
    },
  };
});

function isBye(answer: Answer): boolean {
  return answer.type === "PTR" && answer.ttl === 0;
}

/** A socket that takes part at the port of a test. */
async function participant(port: number): Promise<Socket> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(port);
  await once(socket, "listening");
  socket.addMembership(GROUP, "127.0.0.1");
  socket.setMulticastInterface("127.0.0.1");
  socket.setMulticastTTL(0);
  return socket;
}

describe("multicast DNS", () => {
  it("answers many questions with one announcement", async () => {
    const options = apart();
    await using node = openNode(selfAt(["/ip4/127.0.0.1/tcp/4001"]), options);
    const socket = await participant(options.port);
    try {
      const said: Packet[] = [];
      let wake: (() => void) | undefined;
      socket.on("message", (bytes) => {
        const packet = decode(bytes);
        if (packet.type !== "response") return;
        said.push(packet);
        wake?.();
      });
      const untilSaid = (count: number): Promise<void> =>
        new Promise((done) => {
          wake = () => {
            if (said.length >= count) done();
          };
          wake();
        });
      node.host.nursery.startSoon(async () => node.discovery.advertise?.(selfAt([])));
      // At the start it says everything twice, a second apart.
      await untilSaid(2);
      const began = performance.now();
      const question = encode({ type: "query", questions: [{ type: "PTR", name: options.service }] });
      for (const count of [3, 4]) {
        for (let i = 0; i < 50; i++) socket.send(question, options.port, GROUP);
        await untilSaid(count);
      }
      assert.equal(said.length, 4);
      assert.ok(performance.now() - began > 1900, "two answers are at least a second apart");
    } finally {
      socket.close();
    }
  });

  it("says goodbye when its node ends", async () => {
    const options = apart();
    const node = openNode(selfAt(["/ip4/127.0.0.1/tcp/4001"]), options);
    const socket = await participant(options.port);
    try {
      const answers: Answer[] = [];
      socket.on("message", (bytes) => answers.push(...(decode(bytes).answers ?? [])));
      node.host.nursery.startSoon(async () => node.discovery.advertise?.(selfAt([])));
      while (!answers.some(({ type }) => type === "SRV")) await once(socket, "message");
      await node[Symbol.asyncDispose]();
      while (!answers.some(isBye)) await once(socket, "message");
    } finally {
      socket.close();
    }
  });

  it("survives garbage: noise, broken records, floods, and answers from a wrong port", async () => {
    const options = apart();
    const { near, far } = { near: openNode(selfAt([]), options), far: openNode(selfAt([], OTHER), options) };
    const socket = await participant(options.port);
    const wrongPort = await participant(0);
    try {
      const name = `n.${options.service}`;
      const good = encode({
        type: "response",
        answers: [
          { type: "PTR", name: options.service, ttl: 120, data: name },
          { type: "SRV", name, ttl: 120, data: { port: 4001, target: "n.local" } },
          { type: "TXT", name, ttl: 120, data: [`id=${ADVERTISED}`] },
          { type: "A", name: "n.local", ttl: 120, data: "127.0.0.1" },
        ],
      });
      while (!(await canHear(far.discovery, socket, options)))
        await new Promise<void>((r) => setImmediate(r));
      wrongPort.send(good, options.port, GROUP);
      for (let i = 0; i < 5000; i++) {
        const noise = i % 2 === 0 ? randomBytes(randomInt(0, 2000)) : mutated(good);
        await new Promise<void>((sent) => socket.send(noise, options.port, GROUP, () => sent()));
      }
      // A flood is cut off for a second; what is said after it is heard.
      await untilFound(
        {
          name: "mdns",
          async find(wanted, signal) {
            socket.send(good, options.port, GROUP);
            return far.discovery.find(wanted, signal);
          },
        },
        (hints) =>
          hints.some(({ multiaddrs }) => multiaddrs.includes(`/ip4/127.0.0.1/tcp/4001/p2p/${ADVERTISED}`)),
        WITHIN_MS,
      );
    } finally {
      socket.close();
      wrongPort.close();
      await near[Symbol.asyncDispose]();
      await far[Symbol.asyncDispose]();
    }
  });

  it("opens no socket while only this machine reaches the node, and finds nothing at once", async () => {
    const self = selfAt(["/ip4/127.0.0.1/tcp/4001", "/ip6/::1/tcp/4001"]);
    await using node = openNode(self, { ...apart(), mode: "auto" });
    const began = performance.now();
    assert.deepEqual(await node.discovery.find(undefined, new AbortController().signal), []);
    assert.ok(performance.now() - began < 500, "nobody was asked, so there is nothing to wait for");
  });

  it("gives a search up as soon as it is called off", async () => {
    await using node = openNode(selfAt([]), apart());
    const search = new AbortController();
    const finding = node.discovery.find(undefined, search.signal).then(
      () => "found",
      () => "called off",
    );
    search.abort();
    // Before the socket is open there is nothing to wait for, and nothing is found.
    assert.match(await finding, /found|called off/);
  });
});

/** Whether the reader's socket is open yet. */
async function canHear(
  reader: Discovery,
  socket: Socket,
  options: { port: number; service: string },
): Promise<boolean> {
  const name = `first.${options.service}`;
  const first = encode({
    type: "response",
    answers: [
      { type: "PTR", name: options.service, ttl: 120, data: name },
      { type: "TXT", name, ttl: 120, data: [`dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/${ADVERTISED}`] },
    ],
  });
  socket.send(first, options.port, GROUP);
  return (await reader.find(ADVERTISED, new AbortController().signal)).length > 0;
}

function mutated(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let i = randomInt(1, 8); i > 0; i--) copy[randomInt(copy.length)] = randomInt(256);
  return copy.subarray(0, randomInt(1, copy.length + 1));
}

const peersSchema = z.object({
  peers: z.array(z.looseObject({ peer_id: z.string(), method: z.string(), capabilities: z.unknown() })),
  self_peer_id: z.string(),
});
const BIN = resolve(import.meta.dirname, "../../../bin/mcpp.js");

describe("nodes that share nothing but a network", { skip: noNamespaces() ?? false }, () => {
  const networks = [
    {
      name: "of IPv4",
      addresses: ["10.77.0.1/24", "10.77.0.2/24"],
      listen: "/ip4/0.0.0.0/tcp/0",
      mode: "auto",
    },
    { name: "of IPv6 only", addresses: ["fd77::1/64", "fd77::2/64"], listen: "/ip6/::/tcp/0", mode: "auto" },
    { name: "inside one machine", listen: "/ip4/127.0.0.1/tcp/0", mode: "loopback" },
  ] as const;
  for (const network of networks)
    it(`${network.name} find each other within 3 s of their start`, async () => {
      using lan = openLan("addresses" in network ? network.addresses : undefined);
      using folder = temporaryFolder();
      const service = `_t${randomBytes(6).toString("hex")}._udp.local`;
      const start = async (index: 0 | 1): Promise<Client> => {
        const home = join(folder.path, String(index));
        const settings = `--listen ${network.listen} --mdns ${network.mode} --mdns-service ${service}`;
        const command = `${process.execPath} ${BIN} serve --stdio --data-dir ${home} ${settings}`;
        return connect(`${lan.machines[index]} env XDG_CONFIG_HOME=${home} ${command}`);
      };
      const one = await start(0);
      try {
        const two = await start(1);
        try {
          const began = performance.now();
          const [first, second] = [await found(one), await found(two)];
          const tookMs = performance.now() - began;
          assert.equal(first.peer, second.self);
          assert.equal(second.peer, first.self);
          assert.ok(tookMs < 3000, `${tookMs} ms`);
        } finally {
          await two.close();
        }
      } finally {
        await one.close();
      }
    });
});

/** Asks a node until it has found a peer by multicast DNS. */
async function found(node: Client): Promise<{ readonly self: string; readonly peer: string }> {
  const limit = AbortSignal.timeout(WITHIN_MS);
  for (;;) {
    const args = { discovery_methods: ["mdns"], discovery_timeout_s: 1.5, include_capabilities: true };
    const { peers, self_peer_id } = peersSchema.parse(await node.call("list_peers", args, { signal: limit }));
    const [peer] = peers;
    if (peer) {
      assert.notEqual(peer.capabilities, undefined, "the address that was found leads to the node");
      return { self: self_peer_id, peer: peer.peer_id };
    }
  }
}
