/** Real hosts in this process whose discoveries a test can ask. */
import { createAuthority } from "../../src/authority/authority.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { openHost } from "../../src/nursery/index.ts";
import {
  type Mechanism,
  newIdentity,
  openP2pHost,
  type P2pHost,
  type P2pHostOptions,
} from "../../src/p2p/index.ts";
import type { Discovery } from "../../src/peer/discovery.ts";
import { createPeerTable } from "../../src/peer/table.ts";

/** A host, and the discovery that its mechanism opened. */
export interface Site {
  readonly host: P2pHost;
  readonly address: string;
  /** Throws if the mechanism opened none. */
  readonly discovery: Discovery;
}

/** Hosts that are closed together. */
export interface Sites extends AsyncDisposable {
  open(mechanism?: Mechanism, options?: Partial<P2pHostOptions>): Promise<Site>;
}

/** Opens no host yet. */
export function openSites(clock: Clock = systemClock): Sites {
  const owner = openHost({ clock });
  const hosts: P2pHost[] = [];
  return {
    async open(mechanism, options = {}) {
      let discovery: Discovery | undefined;
      const watched = mechanism && {
        ...mechanism,
        open: async (context: Parameters<NonNullable<Mechanism["open"]>>[0]) =>
          (discovery = await mechanism.open?.(context)),
      };
      const host = await openP2pHost({
        privateKey: await newIdentity(),
        nursery: owner.nursery,
        clock,
        logger: silentLogger,
        authority: createAuthority(),
        methods: [],
        table: createPeerTable({ clock }),
        mechanisms: watched ? [watched] : [],
        ...options,
      });
      hosts.push(host);
      const [address = ""] = host.multiaddrs();
      return {
        host,
        address,
        get discovery() {
          if (!discovery) throw new Error("the mechanism opened no discovery");
          return discovery;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(hosts.map((host) => host.close()));
      await owner.close();
    },
  };
}

/** A loaded machine may take this long for what takes a second. */
const LIMIT_MS = 40_000;

/** Asks again and again until `good` says yes. Throws if it never does. */
export async function eventually<T>(ask: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const until = performance.now() + LIMIT_MS;
  for (;;) {
    const value = await ask();
    if (good(value)) return value;
    if (performance.now() > until) throw new Error(`it stayed ${JSON.stringify(value)}`);
    await new Promise<void>((resolve) => void setTimeout(resolve, 20));
  }
}

/** The ids of the peers that a discovery finds now. */
export async function idsFoundBy(discovery: Discovery, peerId?: string): Promise<string[]> {
  const hints = await discovery.find(peerId, new AbortController().signal);
  return hints.map((hint) => hint.peerId ?? "").toSorted();
}
