import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { sleep, type Nursery } from "../../src/nursery/index.ts";
import { newIdentity, type P2pHost, startLookout } from "../../src/p2p/index.ts";
import type { Discovery, PeerHint } from "../../src/peer/discovery.ts";
import { startHeartbeat } from "../../src/peer/heartbeat.ts";
import { nodeHeartbeat } from "../../src/peer/methods.ts";
import { serve } from "../../src/peer/serve.ts";
import { createPeerTable, type PeerTable } from "../../src/peer/table.ts";
import { addressOf, echo, type Open, plainMethods, withHosts } from "../p2p/hosts.ts";

const LIMIT = { timeout: 60_000 };

/** A place where all who know of it find each other. */
class MeetingPoint implements Discovery {
  readonly name = "rendezvous";
  readonly #hints: PeerHint[] = [];

  add(host: P2pHost): void {
    this.#hints.push({ peerId: host.peerId, multiaddrs: host.multiaddrs(), method: this.name });
  }

  find(): Promise<readonly PeerHint[]> {
    return Promise.resolve([...this.#hints]);
  }
}

interface Beating {
  readonly host: P2pHost;
  readonly table: PeerTable;
  /** From whom it has heard heartbeats. */
  readonly heard: Set<string>;
  /** How many it has heard. */
  beats: number;
}

/** Accepts connections and never says anything. */
async function silentServer(): Promise<
  AsyncDisposable & { readonly address: string; readonly connections: number }
> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => undefined)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address();
  if (at === null || typeof at === "string") throw new TypeError("no port");
  return {
    address: `/ip4/127.0.0.1/tcp/${at.port}`,
    get connections() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A host that looks out and beats, and answers heartbeats with a time that is `aheadMs` off. */
async function beating(
  open: Open,
  nursery: Nursery,
  discovery: Discovery | undefined,
  aheadMs = 0,
): Promise<Beating> {
  const table = createPeerTable({ clock: systemClock });
  const received = { heard: new Set<string>(), beats: 0 };
  const answers = serve(nodeHeartbeat, async ({ peerId }) => {
    received.heard.add(peerId);
    received.beats += 1;
    table.heard(peerId, { trusted: true, seen: true });
    return Promise.resolve({ ok: true, at_ms: Date.now() + aheadMs });
  });
  const host = await open({
    table,
    methods: [...plainMethods, answers],
    discoveries: discovery ? [discovery] : [],
  });
  const common = { table, nursery, logger: silentLogger, ownPeerId: host.peerId };
  startLookout({ ...common, discoveries: host.discoveries });
  const connect = (peerId: string): Promise<boolean> => host.connectKnown(peerId);
  startHeartbeat({ ...common, clock: systemClock, rpc: host.rpc, intervalMs: 1000, connect });
  return Object.assign(received, { host, table });
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20);
}

describe("the heartbeat", LIMIT, () => {
  it("connects ten nodes that share one meeting point, without anybody asking", () =>
    withHosts(async (open, nursery) => {
      const point = new MeetingPoint();
      const nodes: Beating[] = [];
      for (let i = 0; i < 10; i++) {
        const node = await beating(open, nursery, point);
        point.add(node.host);
        nodes.push(node);
      }
      const knows = ({ table }: Beating): boolean =>
        table.list().filter((peer) => peer.connected && peer.rttMs !== undefined).length === 9;
      await eventually(() => nodes.every(knows));
    }));

  it("measures the way and the clock of a peer, and marks it stale when it is gone", () =>
    withHosts(async (open, nursery) => {
      const point = new MeetingPoint();
      const b = await beating(open, nursery, undefined, 3_600_000);
      point.add(b.host);
      const a = await beating(open, nursery, point);
      const row = (): ReturnType<PeerTable["get"]> => a.table.get(b.host.peerId);
      await eventually(() => row()?.rttMs !== undefined);
      assert.ok(Math.abs((row()?.skewMs ?? 0) - 3_600_000) < 5000);
      assert.equal(row()?.stale, false);
      await b.host.close();
      await eventually(() => row()?.stale === true);
      await eventually(() => row()?.connected === false);
    }));

  it("goes on asking those who are there, however many are named who never answer", () =>
    withHosts(async (open, nursery) => {
      await using silent = await silentServer();
      const point = new MeetingPoint();
      const a = await beating(open, nursery, point);
      const b = await beating(open, nursery, undefined);
      point.add(b.host);
      const row = (): ReturnType<PeerTable["get"]> => a.table.get(b.host.peerId);
      await eventually(() => row()?.rttMs !== undefined);
      for (let i = 0; i < 16; i++) {
        const peerId = peerIdFromPrivateKey(await newIdentity()).toString();
        a.table.heard(peerId, { multiaddrs: [`${silent.address}/p2p/${peerId}`], method: "rendezvous" });
      }
      await eventually(() => silent.connections >= 4);
      const beats = b.beats;

      // The next dials begin when these have been given up.
      await eventually(() => b.beats > beats || silent.connections >= 8);

      assert.ok(b.beats > beats, "not asked while dials to those who are silent were under way");
    }));

  it("answers whoever may work here with its own, and leaves strangers alone", () =>
    withHosts(async (open, nursery) => {
      const point = new MeetingPoint();
      const b = await beating(open, nursery, undefined);
      point.add(b.host);
      const a = await beating(open, nursery, point);
      const stranger = await open();
      await stranger.rpc.call({ multiaddr: addressOf(b.host) }, echo, { value: 1 });
      await eventually(() => b.table.get(a.host.peerId)?.rttMs !== undefined);
      assert.equal(b.table.get(stranger.peerId)?.connected, true);
      assert.equal(b.table.get(stranger.peerId)?.rttMs, undefined);
    }));
});
