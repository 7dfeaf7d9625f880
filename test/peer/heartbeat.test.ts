import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { sleep, type Nursery } from "../../src/nursery/index.ts";
import { type P2pHost, startLookout } from "../../src/p2p/index.ts";
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
}

/** A host that looks out and beats, and answers heartbeats with a time that is `aheadMs` off. */
async function beating(
  open: Open,
  nursery: Nursery,
  discovery: Discovery | undefined,
  aheadMs = 0,
): Promise<Beating> {
  const table = createPeerTable({ clock: systemClock });
  const heard = new Set<string>();
  const answers = serve(nodeHeartbeat, async ({ peerId }) => {
    heard.add(peerId);
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
  return { host, table, heard };
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
