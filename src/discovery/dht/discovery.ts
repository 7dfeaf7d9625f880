/** The DHT as a discovery: looks that several callers share, and providing that is kept up. */
import type { KadDHT } from "@libp2p/kad-dht";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { CID } from "multiformats/cid";
import {
  abandonOnCancel,
  abortable,
  failAfter,
  isCancelled,
  moveOnAfter,
  openNursery,
  pauseAfter,
  rethrowIfCancelled,
  TimeoutError,
} from "../../nursery/index.ts";
import type { MechanismContext } from "../../p2p/index.ts";
import type { Discovery, PeerHint, SelfDescription } from "../../peer/discovery.ts";
import { Alarm } from "../pause.ts";
import { dhtFinding, neighboursOf } from "./examine.ts";
import { DHT_LIMITS } from "./limits.ts";
import { findOldKey, type Provider, provideOldKey } from "./old-providers.ts";

const {
  dhtLookMs: { value: LOOK_MS },
  dhtProvideMs: { value: PROVIDE_MS },
  dhtProviders: { value: MAX_PROVIDERS },
  dhtRememberMs: { value: REMEMBER_MS },
  dhtRepublishMs: { value: REPUBLISH_MS },
} = DHT_LIMITS;

/** A look that ended so shortly ago is as good as a new one, which costs a stream to each node that is asked. */
const FRESH_MS = 2000;
/** Each look that finds nobody new is good for twice as long, up to this. */
const MAX_FRESH_MS = 15_000;
/** So many answers in a row without anybody new end a look: records are kept by all nodes near the key. */
const ENOUGH_ANSWERS = 3;
/** What was found this recently need not be looked for again when one peer is wanted. */
const RECENT_MS = 30_000;
/** Pauses while nobody keeps our record. */
const RETRY = { baseMs: 500, maxMs: 8000 };
/** Pauses while the neighbourhood still fills: the record has to get to nodes that came later. */
const SETTLING_MS = [5000, 60_000] as const;

/** What the discovery is made of. */
export interface DhtDiscoveryOptions {
  readonly dht: KadDHT;
  readonly context: MechanismContext;
  readonly protocol: string;
  readonly key: CID;
  /** The key of old nodes. Absent: it is not used. */
  readonly oldKey: Uint8Array | undefined;
  /** How many nodes are configured by which to enter. */
  readonly entries: number;
  /** Whether anybody on the internet is in it. */
  readonly isPublic: boolean;
  /** Whether an address of this node may be told to the DHT. */
  readonly mayTell: (address: Multiaddr) => boolean;
}

/** The discovery, and what to call whenever the node has entered the DHT. */
export interface DhtDiscovery {
  readonly discovery: Discovery;
  readonly entered: () => void;
}

/** Makes the discovery. */
export function createDhtDiscovery(options: DhtDiscoveryOptions): DhtDiscovery {
  const { context, dht } = options;
  const { nursery, libp2p } = context;
  const ownPeerId = libp2p.peerId.toString();
  const alarm = new Alarm(context.clock);
  const providers = new Providers(options);
  let keepers: number | undefined;

  const findOne = async (peerId: string): Promise<readonly PeerHint[]> => {
    const id = peerIdFromString(peerId);
    const hints: PeerHint[] = [];
    await abortable(async (signal) => {
      for await (const event of dht.findPeer(id, { signal })) {
        if (event.name === "FINAL_PEER") hints.push(...hintsOf({ ...event.peer, peerId: event.peer.id }));
        if (hints.length > 0) break;
      }
    });
    return hints;
  };

  const discovery: Discovery = {
    name: "dht",
    trust: options.isPublic ? "public" : undefined,
    async find(peerId, signal) {
      if (peerId === ownPeerId) return [];
      const known = (maxAgeMs?: number): readonly PeerHint[] =>
        providers.hints(maxAgeMs).filter((hint) => peerId === undefined || hint.peerId === peerId);
      const within = { timeoutMs: LOOK_MS, signal };
      try {
        if (peerId === undefined) await nursery.run(() => providers.look(), within);
        else if (known(RECENT_MS).length === 0) {
          const found = await nursery.run(() => findOne(peerId), within);
          if (found.length > 0) return found;
        }
      } catch (error) {
        // Whoever waits no longer gets what is known by now; a DHT without nodes knows nothing.
        if (!isCancelled(error) && !(error instanceof TimeoutError))
          context.logger.debug({ err: error }, "the DHT did not answer");
      }
      return known();
    },
    advertise: (self) =>
      keepProviding(options, self, alarm, (nodes) => {
        keepers = nodes;
      }),
    examine: async () => [
      dhtFinding({
        mode: dht.getMode(),
        neighbours: neighboursOf(dht),
        keepers,
        entries: options.entries,
      }),
    ],
  };
  return { discovery, entered: alarm.wake };
}

/** Who provides the namespace, as far as it was found. */
class Providers {
  readonly #options: DhtDiscoveryOptions;
  readonly #known = new Map<string, { readonly hint: PeerHint; readonly atMs: number }>();
  #look: Promise<void> | undefined;
  #freshUntilMs = -Infinity;
  #freshMs = FRESH_MS;
  #new = 0;

  constructor(options: DhtDiscoveryOptions) {
    this.#options = options;
  }

  /** Those that were found at most `maxAgeMs` ago. */
  hints(maxAgeMs = REMEMBER_MS): readonly PeerHint[] {
    const now = this.#options.context.clock.now();
    for (const [peerId, { atMs }] of this.#known) if (now - atMs > REMEMBER_MS) this.#known.delete(peerId);
    return [...this.#known.values()].filter(({ atMs }) => now - atMs <= maxAgeMs).map(({ hint }) => hint);
  }

  /** Waits for a look that begins now, is under way, or has just ended; it goes on if the caller gives up. */
  async look(): Promise<void> {
    const { clock, nursery, logger } = this.#options.context;
    if (clock.now() < this.#freshUntilMs) return;
    this.#look ??= nursery
      .run(() => this.#lookOnce())
      .catch((error: unknown) => {
        if (!isCancelled(error)) logger.debug({ err: error }, "a look into the DHT failed");
      })
      .finally(() => {
        this.#look = undefined;
      });
    await abandonOnCancel(this.#look);
  }

  async #lookOnce(): Promise<void> {
    this.#new = 0;
    await moveOnAfter(LOOK_MS, () => this.#ask());
    this.#freshMs = this.#new > 0 ? FRESH_MS : Math.min(this.#freshMs * 2, MAX_FRESH_MS);
    this.#freshUntilMs = this.#options.context.clock.now() + this.#freshMs;
  }

  async #ask(): Promise<void> {
    const { dht, key, oldKey, context, protocol } = this.#options;
    await openNursery(async (both) => {
      both.startSoon(() =>
        abortable(async (signal) => {
          let idle = 0;
          for await (const event of dht.findProviders(key, { signal })) {
            // Nodes that are far from the key know no providers.
            if (event.name !== "PEER_RESPONSE" || event.providers.length === 0) continue;
            const before = this.#known.size;
            for (const { id, multiaddrs } of event.providers) this.#keep({ peerId: id, multiaddrs });
            idle = this.#known.size > before ? 0 : idle + 1;
            if (idle >= ENOUGH_ANSWERS) break;
          }
        }),
      );
      if (oldKey === undefined) return;
      const { libp2p } = context;
      both.startSoon(() => findOldKey({ libp2p, dht, protocol, key: oldKey }, (one) => this.#keep(one)));
    });
  }

  #keep(provider: Provider): void {
    const { context } = this.#options;
    const peerId = provider.peerId.toString();
    const [hint] = hintsOf(provider);
    if (!hint || peerId === context.libp2p.peerId.toString()) return;
    if (this.#known.size >= MAX_PROVIDERS && !this.#known.has(peerId)) return;
    if (!this.#known.delete(peerId)) this.#new += 1;
    this.#known.set(peerId, { hint, atMs: context.clock.now() });
  }
}

/** Provides the namespace, again whenever the node entered anew or its addresses changed, and now and then anyway. */
async function keepProviding(
  options: DhtDiscoveryOptions,
  self: SelfDescription,
  alarm: Alarm,
  onKept: (nodes: number) => void,
): Promise<void> {
  const { context, mayTell } = options;
  const { clock, logger } = context;
  const addresses = (): Multiaddr[] =>
    self
      .multiaddrs()
      .map((text) => multiaddr(text))
      .filter(mayTell);
  let told = addresses().join();
  let settled = 0;
  let failures = 0;
  const onChange = (): void => {
    if (addresses().join() === told) return;
    settled = 0;
    alarm.wake();
  };
  const stopListening = self.onChange(onChange);
  try {
    for (;;) {
      const now = addresses();
      told = now.join();
      const kept = now.length === 0 ? 0 : await provide(options, now);
      onKept(kept);
      failures = kept > 0 ? 0 : failures + 1;
      if (kept > 0) logger.debug({ nodes: kept }, "nodes of the DHT keep the record of this node");
      const pauseMs = kept > 0 ? (SETTLING_MS[settled] ?? REPUBLISH_MS) : pauseAfter(failures, RETRY);
      if (kept > 0) settled += 1;
      const before = clock.now();
      // Without an address there is nothing to tell, until there is one.
      await alarm.wait(now.length === 0 ? Infinity : pauseMs);
      if (clock.now() - before < pauseMs) settled = 0;
    }
  } finally {
    stopListening();
    await takeBack(options);
  }
}

/** @returns how many nodes were told */
async function provide(
  { dht, key, oldKey, protocol, context }: DhtDiscoveryOptions,
  addresses: readonly Multiaddr[],
): Promise<number> {
  let told = 0;
  try {
    await failAfter(PROVIDE_MS, async () => {
      await abortable(async (signal) => {
        for await (const event of dht.provide(key, { signal }))
          if (event.name === "PEER_RESPONSE" && event.messageName === "ADD_PROVIDER") told += 1;
      });
      const { libp2p } = context;
      if (oldKey) told += await provideOldKey({ libp2p, dht, protocol, key: oldKey }, addresses);
    });
  } catch (error) {
    rethrowIfCancelled(error);
    context.logger.debug({ err: error }, "could not tell the DHT of this node");
  }
  return told;
}

/** A DHT has no message for that; at least this node itself says no more that it is there, nor provides again. */
async function takeBack({ dht, key }: DhtDiscoveryOptions): Promise<void> {
  await dht.cancelReprovide(key);
}

/** Addresses of one provider that are kept; anybody may say that a node has thousands. */
export const MAX_PROVIDER_ADDRESSES = 16;
/** One through a relay with a certificate hash has under 300. */
const MAX_ADDRESS_CHARS = 512;

/** One hint, or none if there is no address. */
export function hintsOf({ peerId, multiaddrs }: Provider): PeerHint[] {
  const id = peerId.toString();
  const end = `/p2p/${id}`;
  const texts = multiaddrs
    .map(String)
    .filter((text) => text.length <= MAX_ADDRESS_CHARS)
    .slice(0, MAX_PROVIDER_ADDRESSES)
    .map((text) => (text.endsWith(end) ? text : text + end));
  return texts.length === 0 ? [] : [{ peerId: id, multiaddrs: texts, method: "dht" }];
}
