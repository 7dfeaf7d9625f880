/** A token bucket: so many at once, so many per second after that. */
import type { Clock } from "../clock.ts";

/** Lets a burst through, then a steady rate. */
export class Bucket {
  readonly #clock: Clock;
  readonly #burst: number;
  readonly #perMs: number;
  #level: number;
  #atMs: number;

  constructor(clock: Clock, burst: number, perSecond: number) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perMs = perSecond / 1000;
    this.#level = burst;
    this.#atMs = clock.now();
  }

  /** Takes one if there is one. */
  take(): boolean {
    const now = this.#clock.now();
    this.#level = Math.min(this.#burst, this.#level + (now - this.#atMs) * this.#perMs);
    this.#atMs = now;
    if (this.#level < 1) return false;
    this.#level -= 1;
    return true;
  }
}
