/**
 * Who computes which missing value, and who waits for it: single flight, after Go's `singleflight`, with leases.
 *
 * It lives in the memory of the process that owns the cache. A key has at most one flight. Whoever begins it gets a
 * token that is good until its lease ends; everybody else stands in line. A lease that ends without a value, for
 * whatever reason, goes to the first in line. After a restart of the owner all tokens are unknown: that loses nothing
 * but the sharing, as the computing ones still have their values.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import { BusyError } from "../errors.ts";
import type { CacheHit } from "./cache.ts";

/** What a claim comes to: the value, the duty to compute it, or neither in the time that was given. */
export type Claimed =
  | { readonly kind: "hit"; readonly entry: CacheHit }
  | { readonly kind: "compute"; readonly token: string }
  | { readonly kind: "waiting" };

/** Called once with what came of standing in line. */
type Tell = (claimed: Claimed) => void;

interface Waiter {
  readonly tell: Tell;
  readonly leaseMs: number;
}

interface Flight {
  readonly key: string;
  token: string;
  endLease: () => void;
  /** In the order in which they came. */
  readonly line: Set<Waiter>;
  /** Told once the token is no longer good. */
  readonly holders: Set<() => void>;
}

/** More of either at a time is a flood, not sharing. */
const MAX_FLIGHTS = 10_000;
const MAX_WAITERS = 10_000;

/**
 * How long a new lease lasts before it is first renewed, in milliseconds, if that is less than was asked for: the
 * answer that carries the token may find nobody any more.
 */
export const PICKUP_MS = 5000;

/** The flights of one cache. Nothing here waits. */
export class Flights {
  readonly #clock: Clock;
  readonly #flights = new Map<string, Flight>();
  #waiting = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Values that are being computed. */
  get computing(): number {
    return this.#flights.size;
  }

  /** Callers that stand in line. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Begins the flight of a key. @returns its token; undefined if there is one already @throws BusyError */
  begin(key: string, leaseMs: number): string | undefined {
    if (this.#flights.has(key)) return undefined;
    if (this.#flights.size >= MAX_FLIGHTS)
      throw new BusyError(`${MAX_FLIGHTS} values are being computed already`);
    const flight: Flight = { key, token: "", endLease: () => undefined, line: new Set(), holders: new Set() };
    this.#flights.set(key, flight);
    return this.#lend(flight, leaseMs);
  }

  /** Stands in line for a key that has a flight. @returns how to leave the line @throws BusyError */
  join(key: string, leaseMs: number, tell: Tell): () => void {
    const flight = this.#flights.get(key);
    if (!flight) {
      tell({ kind: "waiting" });
      return () => undefined;
    }
    if (this.#waiting >= MAX_WAITERS) throw new BusyError(`${MAX_WAITERS} callers wait for values already`);
    const waiter = { tell, leaseMs };
    flight.line.add(waiter);
    this.#waiting += 1;
    return () => {
      if (flight.line.delete(waiter)) this.#waiting -= 1;
    };
  }

  /** Prolongs a lease. @returns whether the token was still good */
  renew(key: string, token: string, leaseMs: number): boolean {
    const flight = this.#held(key, token);
    if (flight) this.#prolong(flight, leaseMs);
    return flight !== undefined;
  }

  /** Calls `tell` once the token is no longer good, at once if it is not. @returns the undo */
  onEnd(key: string, token: string, tell: () => void): () => void {
    const flight = this.#held(key, token);
    if (!flight) {
      tell();
      return () => undefined;
    }
    flight.holders.add(tell);
    return () => flight.holders.delete(tell);
  }

  /** Whether the token is good. */
  holds(key: string, token: string): boolean {
    return this.#held(key, token) !== undefined;
  }

  /** Ends a flight with the value that all in line have waited for. A token that is no longer good changes nothing. */
  land(key: string, token: string, entry: CacheHit): void {
    const flight = this.#held(key, token);
    if (!flight) return;
    this.#flights.delete(key);
    this.#endLease(flight);
    for (const waiter of this.#leaveAll(flight)) waiter.tell({ kind: "hit", entry });
  }

  /** Gives a value that came another way to all in line; who computes may go on. */
  arrived(key: string, entry: CacheHit): void {
    const flight = this.#flights.get(key);
    if (flight) for (const waiter of this.#leaveAll(flight)) waiter.tell({ kind: "hit", entry });
  }

  /** Gives the duty to compute to the first in line. A token that is no longer good changes nothing. */
  drop(key: string, token: string): void {
    const flight = this.#held(key, token);
    if (!flight) return;
    this.#endLease(flight);
    const [next] = flight.line;
    if (!next) {
      this.#flights.delete(key);
      return;
    }
    flight.line.delete(next);
    this.#waiting -= 1;
    next.tell({ kind: "compute", token: this.#lend(flight, next.leaseMs) });
  }

  #held(key: string, token: string): Flight | undefined {
    const flight = this.#flights.get(key);
    return flight?.token === token ? flight : undefined;
  }

  #lend(flight: Flight, leaseMs: number): string {
    flight.token = randomUUID();
    this.#prolong(flight, Math.min(leaseMs, PICKUP_MS));
    return flight.token;
  }

  #prolong(flight: Flight, leaseMs: number): void {
    const { key, token } = flight;
    flight.endLease();
    flight.endLease = this.#clock.schedule(() => this.drop(key, token), leaseMs);
  }

  #endLease(flight: Flight): void {
    flight.endLease();
    flight.token = "";
    const holders = [...flight.holders];
    flight.holders.clear();
    for (const tell of holders) tell();
  }

  #leaveAll(flight: Flight): Waiter[] {
    const waiters = [...flight.line];
    flight.line.clear();
    this.#waiting -= waiters.length;
    return waiters;
  }
}
