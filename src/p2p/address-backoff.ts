/** Which addresses have failed lately. */
import type { Clock } from "../clock.ts";

/** How long an address is left for last after its first failure; it doubles with each further one. */
const BASE_MS = 2000;
/** A machine that is back is found within this time at the latest, also if it has no other address. */
const MAX_MS = 300_000;
/** Hints are hearsay and unlimited; the oldest failure is forgotten first. */
const MAX_ADDRESSES = 10_000;

interface Failure {
  readonly count: number;
  readonly untilMs: number;
}

/** The addresses that have failed, each for a while. */
export class AddressBackoff {
  readonly #clock: Clock;
  readonly #failures = new Map<string, Failure>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether the address is to be left for last, or for later. */
  isBackedOff(address: string): boolean {
    const failure = this.#failures.get(address);
    return failure !== undefined && this.#clock.now() < failure.untilMs;
  }

  failed(address: string): void {
    const count = (this.#failures.get(address)?.count ?? 0) + 1;
    const pauseMs = Math.min(BASE_MS * 2 ** (count - 1), MAX_MS);
    this.#failures.delete(address);
    this.#failures.set(address, { count, untilMs: this.#clock.now() + pauseMs });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }

  succeeded(address: string): void {
    this.#failures.delete(address);
  }
}
