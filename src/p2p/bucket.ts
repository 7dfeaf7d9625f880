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

  /** Whether there is one to take. */
  get hasAny(): boolean {
    return this.#refilled() >= 1;
  }

  /** Takes one if there is one. */
  take(): boolean {
    if (this.#refilled() < 1) return false;
    this.#level -= 1;
    return true;
  }

  /**
   * Takes `amount`, whether it is there or not, for what has happened already.
   *
   * @returns how long to wait until what is missing is back, in milliseconds; 0 if nothing is
   */
  spend(amount: number): number {
    this.#level = this.#refilled() - amount;
    return this.#level >= 0 ? 0 : Math.ceil(-this.#level / this.#perMs);
  }

  /** Puts back one that was taken. */
  giveBack(): void {
    this.#level = Math.min(this.#burst, this.#refilled() + 1);
  }

  /** Makes it full. */
  refill(): void {
    this.#level = this.#burst;
  }

  #refilled(): number {
    const now = this.#clock.now();
    this.#level = Math.min(this.#burst, this.#level + (now - this.#atMs) * this.#perMs);
    this.#atMs = now;
    return this.#level;
  }
}
