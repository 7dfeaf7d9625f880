/** The shared cache of this node: the rules that are not about storage. */
import type { Clock } from "../clock.ts";
import { parseInput } from "../content/parse.ts";
import type { CallOptions } from "../peer/rpc.ts";
import type { CacheHit, ReplicaStats, SharedCache } from "./cache.ts";
import { type FlightDesk, getOrCompute } from "./compute.ts";
import { type Claimed, Flights } from "./flights.ts";
import { cacheKeySchema, checkValue, ttlMsSchema } from "./input.ts";
import type { CacheStore } from "./store.ts";
import { newsWithin, throwIfAborted } from "./waiting.ts";

/** What a local cache is made of. */
export interface LocalCacheOptions {
  readonly store: CacheStore;
  readonly clock: Clock;
}

/** The cache of this node, with what its peers and its replicas need of it. */
export interface LocalCache extends SharedCache, FlightDesk {
  readonly store: CacheStore;
  /** Calls `listener` after each write here, when it is stored. @returns the undo */
  onWrite(listener: () => void): () => void;
  /** Names who knows how the copying to peers goes, for {@link SharedCache.stats}. */
  reportReplicas(report: () => readonly ReplicaStats[]): void;
}

/** Opens a cache over `store`. */
export function openLocalCache(options: LocalCacheOptions): LocalCache {
  return new OwnCache(options);
}

class OwnCache implements LocalCache {
  readonly store: CacheStore;
  readonly #clock: Clock;
  readonly #flights: Flights;
  readonly #listeners = new Set<() => void>();
  #replicas: () => readonly ReplicaStats[] = () => [];

  constructor({ store, clock }: LocalCacheOptions) {
    this.store = store;
    this.#clock = clock;
    this.#flights = new Flights(clock);
  }

  /** Waits for nothing, so it does not look at the signal, which would first have to be made. */
  async get(key: string, _options?: CallOptions): Promise<CacheHit | undefined> {
    return this.store.get(keyOf(key, undefined), this.#clock.epochMs());
  }

  async has(key: string, options?: CallOptions): Promise<boolean> {
    return (await this.get(key, options)) !== undefined;
  }

  async set(key: string, value: unknown, ttlMs?: number, options?: CallOptions): Promise<number> {
    const name = keyOf(key, options);
    const entry = await this.#put(name, value, ttlMs);
    this.#flights.arrived(name, entry);
    return entry.version;
  }

  async delete(key: string, options?: CallOptions): Promise<boolean> {
    const deleted = await this.store.delete(keyOf(key, options), this.#clock.epochMs());
    this.#tellListeners();
    return deleted;
  }

  async stats(options?: CallOptions): ReturnType<SharedCache["stats"]> {
    throwIfAborted(options?.signal);
    const fill = await this.store.stats(this.#clock.epochMs());
    const { computing, waiting } = this.#flights;
    return { ...fill, computing, waiting, replicas: this.#replicas() };
  }

  async getOrCompute(
    ...[key, compute, options]: Parameters<SharedCache["getOrCompute"]>
  ): ReturnType<SharedCache["getOrCompute"]> {
    return getOrCompute(this, this.#clock, keyOf(key, options), compute, options);
  }

  async claim(...[key, times, options]: Parameters<FlightDesk["claim"]>): Promise<Claimed> {
    const name = keyOf(key, options);
    // Begun before the store is asked: otherwise somebody's value could come and go unseen between the two.
    const token = this.#flights.begin(name, times.leaseMs);
    if (token !== undefined) return this.#look(name, token);
    const bounds = { clock: this.#clock, timeoutMs: times.waitMs, signal: options?.signal };
    const told = await newsWithin<Claimed>(bounds, (tell) => this.#flights.join(name, times.leaseMs, tell), {
      kind: "waiting",
    });
    if (told.kind === "compute" && options?.signal?.aborted) {
      this.#flights.drop(name, told.token);
      throwIfAborted(options.signal);
    }
    return told.kind === "hit" ? { kind: "hit", entry: copyOf(told.entry) } : told;
  }

  async hold(...[key, token, times, options]: Parameters<FlightDesk["hold"]>): Promise<boolean> {
    const name = keyOf(key, options);
    if (!this.#flights.renew(name, token, times.leaseMs)) return false;
    const bounds = { clock: this.#clock, timeoutMs: times.waitMs, signal: options?.signal };
    try {
      return await newsWithin<boolean>(
        bounds,
        (tell) => this.#flights.onEnd(name, token, () => tell(false)),
        true,
      );
    } catch (error) {
      this.#flights.drop(name, token);
      throw error;
    }
  }

  async settle(
    ...[key, token, value, ttlMs, options]: Parameters<FlightDesk["settle"]>
  ): Promise<number | undefined> {
    const name = keyOf(key, options);
    checkValue(value);
    if (!this.#flights.holds(name, token)) return undefined;
    const entry = await this.#put(name, value, ttlMs);
    this.#flights.land(name, token, entry);
    return entry.version;
  }

  async drop(...[key, token, options]: Parameters<FlightDesk["drop"]>): Promise<void> {
    this.#flights.drop(keyOf(key, options), token);
  }

  onWrite(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  reportReplicas(report: () => readonly ReplicaStats[]): void {
    this.#replicas = report;
  }

  /** Uses a new flight to look whether there is a value after all. */
  async #look(name: string, token: string): Promise<Claimed> {
    try {
      const entry = await this.store.get(name, this.#clock.epochMs());
      if (!entry) return { kind: "compute", token };
      this.#flights.land(name, token, entry);
      return { kind: "hit", entry };
    } catch (error) {
      this.#flights.drop(name, token);
      throw error;
    }
  }

  async #put(name: string, value: unknown, ttlMs: number | undefined): Promise<CacheHit> {
    checkValue(value);
    const nowMs = this.#clock.epochMs();
    const expiresAtMs =
      ttlMs === undefined ? undefined : Math.ceil(nowMs + parseInput(ttlMsSchema, ttlMs, "cache ttl"));
    const version = await this.store.set(name, value, expiresAtMs, nowMs);
    this.#tellListeners();
    return { value, version, expiresAtMs };
  }

  #tellListeners(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The key as it is stored, if the caller has not given up. @throws InvalidInputError, CancelledError */
function keyOf(key: string, options: CallOptions | undefined): string {
  throwIfAborted(options?.signal);
  return parseInput(cacheKeySchema, key, "cache key");
}

/** One for each who waited: none may change what another one reads. */
function copyOf(entry: CacheHit): CacheHit {
  const value: unknown = JSON.parse(JSON.stringify(entry.value));
  return { ...entry, value };
}
