/**
 * Keeps the table of peers true: asks each peer that it knows whether it is still there, and how far away.
 *
 * Work is bounded: a tick asks a few peers, whoever does not answer is asked ever less often, and of peers that were only
 * heard of so many are connected that a small group is a full mesh and a large one is not. Strangers that have merely
 * connected are left alone. All pauses are drawn at random around their length, so that nodes that were started together
 * do not beat together.
 */
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  Limiter,
  moveOnAfter,
  type Nursery,
  openNursery,
  rethrowIfCancelled,
  suspend,
} from "../nursery/index.ts";
import { type Capabilities, readCapabilities } from "./capabilities.ts";
import { nodeHeartbeat } from "./methods.ts";
import type { Peer } from "./peer.ts";
import type { RpcClient } from "./rpc.ts";
import type { PeerTable } from "./table.ts";

/** How often is looked whose turn it is. */
const TICK_MS = 1000;
/**
 * How many peers a tick asks that are connected, and how many others: a beat costs both sides about a millisecond, so
 * this is two hundredths of a core at most.
 */
const MAX_BEATS = 8;
/** How many are asked at once, of either kind. */
const CONCURRENCY = 4;
/** A peer that is there answers in milliseconds; one on another continent through a relay in one or two seconds. */
const BEAT_TIMEOUT_MS = 5000;
/** How many connections are made to peers that nobody has asked for. */
export const MAX_KEPT_PEERS = 64;
/** Misses after which a peer counts as stale: one may be a lost packet. */
const MISSES_TO_STALE = 2;
/** A peer that is gone for long is asked this seldom. */
const MAX_PAUSE_MS = 600_000;
/** The first beat after a peer was heard of comes within this time, drawn at random. */
const FIRST_BEAT_MS = 500;
/** A peer that was not heard for so many intervals is not there: two beats were missed, each as late as it may be. */
export const LIVE_TIMEOUT_BEATS = 3;
/** Pauses are drawn this much around their length. */
const JITTER = 0.2;

/** What the heartbeat works with. */
export interface HeartbeatOptions {
  readonly rpc: RpcClient;
  readonly table: PeerTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nursery: Nursery;
  readonly ownPeerId: string;
  /** How often a peer that answers is asked. */
  readonly intervalMs: number;
  /** What this node can do now, which peers are told. Default: nothing is told. */
  readonly capabilities?: (() => Capabilities | undefined) | undefined;
  /** Connects to a peer over addresses that are known. @returns whether it is connected */
  readonly connect: (peerId: string) => Promise<boolean>;
  /** What travels with each beat. Default: nothing. */
  readonly gossip?: HeartbeatGossip | undefined;
  /** Numbers from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What nodes tell each other with a beat besides that they are there. */
export interface HeartbeatGossip {
  /** What to tell a peer that is connected; undefined if it is not to know. */
  say(peerId: string): JsonObject | undefined;
  /** A peer answered, and said this. */
  hear(peerId: string, said: unknown): void;
}

/** A peer that was connected a moment ago, or has missed one beat only, is asked again within this time. */
const CHECK_MS = 2000;

interface Turn {
  readonly atMs: number;
  readonly misses: number;
  /** Whether it was connected when it was asked last. */
  readonly connected: boolean;
}

/** Starts the heartbeat; it ends with the nursery. */
export function startHeartbeat(options: HeartbeatOptions): void {
  const heart = new Heart(options);
  options.nursery.startSoon(() => heart.run(), "heartbeat");
}

class Heart {
  readonly #options: HeartbeatOptions;
  readonly #random: () => number;
  readonly #turns = new Map<string, Turn>();
  /** Who is being asked. */
  readonly #asked = new Set<string>();
  readonly #wakes = new Set<() => void>();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  async run(): Promise<void> {
    const unsubscribe = this.#options.table.onNew((peer) => {
      if (isOurs(peer)) for (const wake of this.#wakes) wake();
    });
    try {
      // Apart, because anybody can name any number of peers that are only waited for.
      await openNursery(async (nursery) => {
        for (const connected of [true, false])
          nursery.startSoon(() => this.#keepAsking(connected), connected ? "connected peers" : "other peers");
      });
    } finally {
      unsubscribe();
    }
  }

  async #keepAsking(connected: boolean): Promise<never> {
    const limiter = new Limiter(CONCURRENCY);
    for (;;) {
      const peers = this.#due(connected);
      await openNursery(async (nursery) => {
        for (const peer of peers) nursery.startSoon(() => limiter.run(() => this.#beat(peer)), "beat");
      });
      await this.#pause(this.#around(TICK_MS));
    }
  }

  /** Whose turn it is of those who are connected, or of the others; who waits longest first. */
  #due(connected: boolean): readonly Peer[] {
    const { table, clock, ownPeerId } = this.#options;
    const now = clock.now();
    const ours = table.list().filter((peer) => peer.peerId !== ownPeerId && isOurs(peer));
    let kept = ours.filter((peer) => peer.connected).length;
    this.#forgetGone(ours);
    const due = ours
      .map((peer) => ({ peer, atMs: this.#turnOf(peer, now).atMs }))
      .filter(({ peer, atMs }) => peer.connected === connected && atMs <= now)
      .toSorted((a, b) => a.atMs - b.atMs)
      .map(({ peer }) => peer);
    const asked: Peer[] = [];
    for (const peer of due) {
      if (asked.length >= MAX_BEATS) break;
      if (this.#asked.has(peer.peerId) || (!connected && kept++ >= MAX_KEPT_PEERS)) continue;
      asked.push(peer);
      this.#asked.add(peer.peerId);
    }
    return asked;
  }

  #turnOf({ peerId, connected }: Peer, now: number): Turn {
    const known = this.#turns.get(peerId);
    const isLost = known?.connected === true && !connected;
    if (known && !isLost) return known;
    const withinMs = isLost ? CHECK_MS : FIRST_BEAT_MS;
    const turn = { atMs: now + this.#random() * withinMs, misses: 0, connected };
    this.#turns.set(peerId, turn);
    return turn;
  }

  #forgetGone(ours: readonly Peer[]): void {
    if (this.#turns.size <= ours.length) return;
    const ids = new Set(ours.map(({ peerId }) => peerId));
    for (const peerId of this.#turns.keys()) if (!ids.has(peerId)) this.#turns.delete(peerId);
  }

  async #beat({ peerId }: Peer): Promise<void> {
    const { clock, intervalMs, logger } = this.#options;
    const misses = this.#turns.get(peerId)?.misses ?? 0;
    try {
      const answered = await moveOnAfter(BEAT_TIMEOUT_MS, () => this.#ask(peerId));
      if (answered.value === true) {
        this.#turns.set(peerId, { atMs: clock.now() + this.#around(intervalMs), misses: 0, connected: true });
        return;
      }
    } catch (error) {
      rethrowIfCancelled(error);
      logger.debug({ peer: peerId, ...errorFacts(error) }, "a peer did not answer a heartbeat");
    } finally {
      this.#asked.delete(peerId);
    }
    this.#missed(peerId, misses + 1);
  }

  #missed(peerId: string, misses: number): void {
    const { table, clock, intervalMs } = this.#options;
    const pauseMs =
      misses < MISSES_TO_STALE
        ? Math.min(intervalMs, CHECK_MS)
        : Math.min(intervalMs * 2 ** (misses - MISSES_TO_STALE), MAX_PAUSE_MS);
    this.#turns.set(peerId, { atMs: clock.now() + this.#around(pauseMs), misses, connected: false });
    if (misses >= MISSES_TO_STALE && table.get(peerId)) table.heard(peerId, { stale: true, seen: false });
  }

  /** @returns whether it is there */
  async #ask(peerId: string): Promise<boolean> {
    const { rpc, table, clock, ownPeerId, connect, gossip } = this.#options;
    if (!(await connect(peerId))) return false;
    const startedMs = clock.now();
    const atMs = clock.epochMs();
    try {
      const call = { timeoutMs: BEAT_TIMEOUT_MS, onlyFound: true };
      const own = this.#options.capabilities?.();
      const beat = {
        peerId: ownPeerId,
        gossip: gossip?.say(peerId),
        ...(own && { capabilities: { ...own } }),
      };
      const answer = await rpc.call({ peerId }, nodeHeartbeat, beat, call);
      const rttMs = clock.now() - startedMs;
      const skewMs = skewOf(answer, atMs + rttMs / 2);
      const capabilities = readCapabilities(answer);
      table.heard(peerId, { connected: true, rttMs, skewMs, refused: null, capabilities });
      gossip?.hear(peerId, answer["gossip"]);
    } catch (error) {
      rethrowIfCancelled(error);
      const { code, failureClass } = errorFacts(error);
      // Whoever refuses is there.
      if (failureClass !== "denied" && failureClass !== "invalid" && failureClass !== "not-found")
        throw error;
      table.heard(peerId, { connected: true, rttMs: clock.now() - startedMs, refused: code });
    }
    return true;
  }

  #around(ms: number): number {
    return ms * (1 - JITTER + 2 * JITTER * this.#random());
  }

  /** Waits, or until a new peer is known. */
  async #pause(ms: number): Promise<void> {
    let wake: (() => void) | undefined;
    try {
      await moveOnAfter(ms, () =>
        suspend<void>((resume, fail) => {
          wake = resume;
          this.#wakes.add(resume);
          return fail;
        }),
      );
    } finally {
      if (wake) this.#wakes.delete(wake);
    }
  }
}

/** Whether it is more than somebody who has connected here. */
function isOurs({ methods, trusted = false }: Peer): boolean {
  return trusted || methods.some((method) => method !== "inbound");
}

function skewOf(answer: JsonObject, ourMs: number): number | undefined {
  const theirs = answer["at_ms"];
  return typeof theirs === "number" ? Math.round(theirs - ourMs) : undefined;
}
