/**
 * Keeps the cache of one peer and this one alike.
 *
 * There is no queue of writes to send: the store's own log of changes is the queue. It has each key once, so it is as
 * large as the cache and no larger however long the peer is away, and a writer only rings a bell. For each peer this
 * keeps its place in the peer's log and two places in the own one: up to where it was compared, and up to where the
 * writes of this node were sent at once. A change that came from elsewhere is never sent at once (one hop); it
 * reaches peers of peers when they compare. Versions make every repetition, order and loop harmless.
 */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { currentSignal, rethrowIfCancelled } from "../nursery/index.ts";
import type { Method, PeerTarget, RpcClient } from "../peer/rpc.ts";
import type { ReplicaStats } from "./cache.ts";
import type { LocalCache } from "./local.ts";
import { MAX_MARKS, readBatch, recordOf, replicaMethods } from "./replica-methods.ts";
import { newsWithin } from "./waiting.ts";

/**
 * Records with more bytes than this are not sent to peers at once but wait for the next comparison: a large value
 * that is never asked for there should not cost every peer its weight each time it is written.
 */
export const EAGER_BYTES: number = 256 * 1024;

/** How often two caches are compared, in milliseconds, give or take a quarter. */
export const COMPARE_EVERY_MS = 60_000;

/** The first pause after a failure, in milliseconds; it doubles up to {@link MAX_PAUSE_MS}. */
const FIRST_PAUSE_MS = 500;
/** The longest pause: a peer that is back should be found again within a minute. */
const MAX_PAUSE_MS = 60_000;
/** How long one exchange may take: a message of the largest size over a slow link. */
const EXCHANGE_MS = 30_000;
/** Pauses are between this part of their length and as much more than all of it, so that peers do not act in step. */
const JITTER_FROM = 0.75;

/** What a replica is made of. */
export interface ReplicaOptions {
  readonly cache: LocalCache;
  readonly rpc: RpcClient;
  readonly target: PeerTarget;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default {@link COMPARE_EVERY_MS}. */
  readonly compareEveryMs?: number | undefined;
  /** Default {@link EAGER_BYTES}. */
  readonly eagerBytes?: number | undefined;
  /** Numbers from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** One peer's copy. */
export class Replica {
  readonly #options: ReplicaOptions;
  #origin = "";
  /** The place in the peer's log up to which it was read. */
  #pulled = 0;
  /** The place in the own log up to which the peer was offered all. */
  #offered = 0;
  /** The place in the own log up to which this node's writes were sent at once. */
  #pushed = 0;
  #rang = false;
  #onRing: () => void = () => undefined;
  #state: ReplicaStats["state"] = "behind";
  readonly #counts = { sent: 0, received: 0, deferred: 0, refused: 0, failures: 0 };

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  /** How it goes. */
  stats(): ReplicaStats {
    const { peerId, multiaddr } = this.#options.target;
    return { peer: multiaddr ?? peerId ?? "", state: this.#state, ...this.#counts };
  }

  /** Says that something was written here. Returns at once. */
  ring(): void {
    this.#rang = true;
    this.#onRing();
  }

  /** Works until it is cancelled. Failures are waited out. */
  async run(): Promise<void> {
    for (let failures = 0; ;) {
      try {
        await this.compare();
        failures = 0;
        await this.#pushForAWhile();
      } catch (error) {
        rethrowIfCancelled(error);
        failures += 1;
        this.#fail(error, failures);
        await this.#wait(Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)), () => () => undefined);
      }
    }
  }

  /** Reads what changed at the peer, then offers it what changed here. @throws what the way to the peer throws */
  async compare(): Promise<void> {
    if (this.#state === "away") this.#state = "behind";
    let origin: string;
    do {
      while (await this.#pullPage());
      origin = this.#origin;
      // Another process with the same database has the same cache.
      if (origin !== this.#options.cache.store.origin) while (await this.#offerPage());
    } while (origin !== this.#origin);
    this.#pushed = Math.max(this.#pushed, this.#offered);
    this.#state = "current";
  }

  /** @returns whether there is more */
  async #pullPage(): Promise<boolean> {
    const { store } = this.#options.cache;
    const page = await this.#call(replicaMethods.changes, { since: this.#pulled, limit: MAX_MARKS });
    if (this.#isNew(page.origin)) return true;
    if (page.origin === store.origin) return false;
    let keys = await store.wanted(page.marks, this.#nowMs());
    while (keys.length > 0) {
      const { records, handled } = await this.#call(replicaMethods.records, { keys });
      const nowMs = this.#nowMs();
      const outcome = await store.merge(
        records.map((record) => recordOf(record, nowMs)),
        nowMs,
      );
      this.#counts.received += outcome.taken;
      this.#counts.refused += outcome.refused;
      keys = keys.slice(Math.max(handled, 1));
    }
    this.#pulled = page.next;
    return page.more;
  }

  /** @returns whether there is more */
  async #offerPage(): Promise<boolean> {
    const { store } = this.#options.cache;
    const page = await store.changes(this.#offered, MAX_MARKS);
    const marks = page.marks.filter(({ origin }) => origin !== this.#origin);
    if (marks.length > 0) {
      const { wanted, origin } = await this.#call(replicaMethods.offer, { marks });
      if (this.#isNew(origin) || !(await this.#send(wanted))) return false;
    }
    this.#offered = page.next;
    return page.more;
  }

  /** Sends this node's writes as they come, until it is time to compare again. */
  async #pushForAWhile(): Promise<void> {
    const { clock, compareEveryMs = COMPARE_EVERY_MS } = this.#options;
    const untilMs = clock.now() + compareEveryMs * this.#jitter();
    for (;;) {
      if (this.#rang && !(await this.#push())) return;
      const leftMs = untilMs - clock.now();
      if (leftMs <= 0) return;
      await this.#wait(leftMs, (tell) => {
        this.#onRing = tell;
        if (this.#rang) tell();
        return () => {
          this.#onRing = () => undefined;
        };
      });
    }
  }

  /** @returns false if the peer has begun anew, so that all must be compared */
  async #push(): Promise<boolean> {
    const { store } = this.#options.cache;
    for (let more = true; more;) {
      this.#rang = false;
      const page = await store.changes(this.#pushed, MAX_MARKS);
      const own = page.marks.flatMap(({ key, origin }) => (origin === store.origin ? [key] : []));
      if (!(await this.#send(own, this.#options.eagerBytes ?? EAGER_BYTES))) return false;
      this.#pushed = page.next;
      more = page.more;
    }
    return true;
  }

  /** @returns false if the peer has begun anew */
  async #send(keys: readonly string[], maxBytes?: number): Promise<boolean> {
    const { store } = this.#options.cache;
    for (let left = keys; left.length > 0;) {
      const { records, handled, skipped } = await readBatch(store, left, this.#nowMs(), maxBytes);
      left = left.slice(handled);
      this.#counts.deferred += skipped;
      if (records.length === 0) continue;
      const outcome = await this.#call(replicaMethods.merge, { records });
      this.#counts.sent += outcome.taken;
      this.#counts.refused += outcome.refused;
      if (this.#isNew(outcome.origin)) return false;
    }
    return true;
  }

  /** Whether the peer's store is not the one that the places in the logs belong to. They begin anew then. */
  #isNew(origin: string): boolean {
    if (origin === this.#origin) return false;
    const began = this.#origin !== "" || this.#pulled > 0;
    this.#origin = origin;
    this.#pulled = 0;
    this.#offered = 0;
    this.#pushed = 0;
    return began;
  }

  #call<I, O>(method: Method<I, O>, input: I): Promise<O> {
    const { rpc, target } = this.#options;
    return rpc.call(target, method, input, { signal: currentSignal(), timeoutMs: EXCHANGE_MS });
  }

  #fail(error: unknown, failures: number): void {
    const { logger } = this.#options;
    this.#state = "away";
    this.#counts.failures += 1;
    const line = { peer: this.stats().peer, code: errorFacts(error).code, failures, err: error };
    if (failures === 1) logger.warn(line, "the cache of a peer cannot be kept alike; trying again");
    else logger.debug(line, "the cache of a peer still cannot be kept alike");
  }

  #wait(ms: number, subscribe: (tell: () => void) => () => void): Promise<void> {
    const { clock } = this.#options;
    return newsWithin<void>({ clock, timeoutMs: ms }, subscribe, undefined);
  }

  #jitter(): number {
    const { random = Math.random } = this.#options;
    return JITTER_FROM + 2 * (1 - JITTER_FROM) * random();
  }

  #nowMs(): number {
    return this.#options.clock.epochMs();
  }
}
