/**
 * When the API may be asked again: after GitHub's own word, else after pauses that grow.
 *
 * After "Best practices for using the REST API" and "Rate limits for the REST API" (docs.github.com): wait as long as
 * `retry-after` says, else until `x-ratelimit-reset` if nothing remains, else a minute, doubling.
 */
import type { Clock } from "../../clock.ts";
import {
  BACKOFF_FIRST_MS,
  BACKOFF_MAX_MS,
  LIMIT_JITTER,
  MAX_LIMIT_MS,
  SECONDARY_LIMIT_MS,
} from "./limits.ts";

/** The gate before every request of one registry. */
export class Gate {
  readonly #clock: Clock;
  readonly #random: () => number;
  #openAt = -Infinity;
  #failures = 0;

  /** @param random - numbers from 0 to below 1 */
  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** How long it is closed from now, in milliseconds; 0 if it is open. */
  get waitMs(): number {
    return Math.max(0, this.#openAt - this.#clock.now());
  }

  /** A request was answered. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Closes it for the time that the server names, and a little, different for each caller, more. */
  closeFor(ms: number): void {
    const asked = Math.min(Math.max(ms, 0), MAX_LIMIT_MS);
    this.#close(asked * (1 + LIMIT_JITTER * this.#random()));
  }

  /** Closes it after a limit that names no time: longer each time. */
  limited(): void {
    this.closeFor(SECONDARY_LIMIT_MS * 2 ** this.#failures);
    this.#failures += 1;
  }

  /** Closes it after a failure that may pass: up to twice as long each time, half of it at random. */
  backOff(): void {
    const longest = Math.min(BACKOFF_FIRST_MS * 2 ** this.#failures, BACKOFF_MAX_MS);
    this.#failures += 1;
    this.#close(longest * (0.5 + 0.5 * this.#random()));
  }

  #close(ms: number): void {
    this.#openAt = Math.max(this.#openAt, this.#clock.now() + ms);
  }
}
