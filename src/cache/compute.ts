/**
 * The computing side of single flight: claims a missing value, computes it while holding the lease, and settles.
 *
 * The same for a cache in this process and for one on a peer; only the desk differs. Holding is one call that the
 * owner keeps open: it renews the lease when it begins, and ends the lease when its connection breaks, so that a dead
 * process is replaced at once where the connection shows it, and when its lease ends otherwise.
 */
import type { Clock } from "../clock.ts";
import { parseInput } from "../content/parse.ts";
import { CancelledError, DeadlineError, McpError } from "../errors.ts";
import {
  cancelScope,
  currentSignal,
  openNursery,
  rethrowIfCancelled,
  shield,
  suspend,
} from "../nursery/index.ts";
import type { CallOptions } from "../peer/rpc.ts";
import { type Compute, type Computed, type ComputeOptions, DEFAULT_COMPUTE_TIMEOUT_MS } from "./cache.ts";
import type { Claimed } from "./flights.ts";
import { ttlMsSchema } from "./input.ts";

/** How long a lease lasts after the beginning of the last hold, in milliseconds: what a silent death costs the others. */
export const COMPUTE_LEASE_MS = 15_000;

/** How long one hold is kept open, in milliseconds: a third of the lease, so that one that is lost does no harm. */
const HOLD_MS: number = COMPUTE_LEASE_MS / 3;

/** How long one claim stands in line before it asks again, in milliseconds: short enough for any proxy between. */
const CLAIM_WAIT_MS = 30_000;

/** The pause after a hold that did not get through, in milliseconds. */
const HOLD_PAUSE_MS = 500;

/** How long the owner has to hear that a computation was given up; its lease ends by itself otherwise. */
const DROP_LIMIT_MS = 2000;

/** How long a lease and a wait last. */
export interface FlightTimes {
  readonly leaseMs: number;
  readonly waitMs: number;
}

/** Where flights are kept, here or at a peer. */
export interface FlightDesk {
  /** The value, or the duty to compute it, or neither after `waitMs` in line. @throws BusyError */
  claim(key: string, times: FlightTimes, options?: CallOptions): Promise<Claimed>;
  /**
   * Renews the lease and waits until it ends, at most `waitMs`. Whoever gives up this call gives up the lease.
   *
   * @returns whether the lease is still in force
   */
  hold(key: string, token: string, times: FlightTimes, options?: CallOptions): Promise<boolean>;
  /** @returns the version of the value; undefined if the lease is no longer in force, and nothing was kept */
  settle(
    key: string,
    token: string,
    value: unknown,
    ttlMs: number | undefined,
    options?: CallOptions,
  ): Promise<number | undefined>;
  /** Gives the lease back without a value. */
  drop(key: string, token: string, options?: CallOptions): Promise<void>;
}

/** {@link SharedCache.getOrCompute} over a desk. */
export async function getOrCompute(
  desk: FlightDesk,
  clock: Clock,
  key: string,
  compute: Compute,
  options: ComputeOptions = {},
): Promise<Computed> {
  const { ttlMs, signal, timeoutMs = DEFAULT_COMPUTE_TIMEOUT_MS } = options;
  if (ttlMs !== undefined) parseInput(ttlMsSchema, ttlMs, "cache ttl");
  const outcome = await cancelScope(
    async (scope) => {
      const undo = clock.schedule(() => scope.cancel("the time to compute is over"), timeoutMs);
      try {
        const found = await claimed(desk, key);
        if (found.kind === "hit") {
          return { value: found.entry.value, computed: false, version: found.entry.version };
        }
        return await computed(new Lease(desk, clock, key, found.token), compute, ttlMs);
      } finally {
        undo();
      }
    },
    { signal },
  );
  if (outcome.ok) return outcome.value;
  if (signal?.aborted) throw new CancelledError("the caller gave up", { cause: signal.reason });
  throw new DeadlineError(`no value for the cache key within ${timeoutMs} ms`);
}

async function claimed(desk: FlightDesk, key: string): Promise<Exclude<Claimed, { kind: "waiting" }>> {
  for (;;) {
    const times = { leaseMs: COMPUTE_LEASE_MS, waitMs: CLAIM_WAIT_MS };
    const claim = await desk.claim(key, times, { signal: currentSignal() });
    if (claim.kind !== "waiting") return claim;
  }
}

/** The right to compute one value. */
class Lease {
  readonly #desk: FlightDesk;
  readonly #clock: Clock;
  readonly #key: string;
  readonly #token: string;

  constructor(desk: FlightDesk, clock: Clock, key: string, token: string) {
    this.#desk = desk;
    this.#clock = clock;
    this.#key = key;
    this.#token = token;
  }

  /** Holds until the lease has ended; a desk that cannot be reached is asked again. */
  async hold(): Promise<void> {
    const times = { leaseMs: COMPUTE_LEASE_MS, waitMs: HOLD_MS };
    for (let held = true; held;) {
      try {
        held = await this.#desk.hold(this.#key, this.#token, times, { signal: currentSignal() });
      } catch (error) {
        rethrowIfCancelled(error);
        // What is wrong for good shows when the value is settled.
        if (!(error instanceof McpError) || !error.retryable) return;
        await pause(this.#clock, HOLD_PAUSE_MS);
      }
    }
  }

  /** @returns its version; undefined if it could not be kept, which the value does not suffer from */
  async settle(value: unknown, ttlMs: number | undefined): Promise<number | undefined> {
    try {
      return await this.#desk.settle(this.#key, this.#token, value, ttlMs, { signal: currentSignal() });
    } catch (error) {
      rethrowIfCancelled(error);
      if (error instanceof McpError && error.retryable) return undefined;
      throw error;
    }
  }

  /** Gives up, also in a scope that is cancelled. A desk that does not hear of it sees the lease end. */
  async drop(): Promise<void> {
    await cancelScope(() => shield(DROP_LIMIT_MS, () => this.#desk.drop(this.#key, this.#token))).catch(
      () => undefined,
    );
  }
}

type Attempt =
  | { readonly ok: true; readonly value: Computed }
  | { readonly ok: false; readonly error: unknown };

async function computed(lease: Lease, compute: Compute, ttlMs: number | undefined): Promise<Computed> {
  // The failure travels as a value: a nursery would put it into a group, and the caller knows only its own error.
  let attempt: Attempt = { ok: false, error: undefined };
  await openNursery(async (nursery) => {
    nursery.startSoon(() => lease.hold(), "hold the lease");
    attempt = await attemptOf(lease, compute, ttlMs);
    nursery.cancel("the value is computed");
  });
  return resultOf(attempt);
}

async function attemptOf(lease: Lease, compute: Compute, ttlMs: number | undefined): Promise<Attempt> {
  try {
    const value = await compute(currentSignal());
    const version = await lease.settle(value, ttlMs);
    if (version === undefined) await lease.drop();
    return { ok: true, value: { value, computed: true, version } };
  } catch (error) {
    await lease.drop();
    rethrowIfCancelled(error);
    return { ok: false, error };
  }
}

function resultOf(attempt: Attempt): Computed {
  if (attempt.ok) return attempt.value;
  throw attempt.error;
}

async function pause(clock: Clock, ms: number): Promise<void> {
  await suspend<void>((resume, fail) => {
    const undo = clock.schedule(() => resume(undefined), ms);
    return (reason) => {
      undo();
      fail(reason);
    };
  });
}
