/** A bound on how much goes on at once. */
import { currentScope } from "./context.ts";
import { type Resume, suspend } from "./suspend.ts";
import { Line } from "./line.ts";

/** The right to be one of those at work, until it is given back. */
export interface Permit extends Disposable {
  /** Gives the permit back, to who has waited longest. Idempotent, and may be called from anywhere. */
  release(): void;
}

/**
 * Lets `limit` work at once and the others wait, first come, first served.
 *
 * A freed permit goes straight to the first in line, so nobody who comes later can overtake.
 */
export class Limiter {
  readonly limit: number;
  #available: number;
  readonly #line = new Line<Resume<Permit>>();

  /** @throws RangeError unless `limit` is a whole number of at least 1 */
  constructor(limit: number) {
    if (!Number.isInteger(limit) || limit < 1)
      throw new RangeError("limit must be a whole number of at least 1");
    this.limit = limit;
    this.#available = limit;
  }

  /** How many permits are free. */
  get available(): number {
    return this.#available;
  }

  /** How many wait for a permit. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Runs `fn` with a permit, which it waits for; a cancellation point. */
  async run<T>(fn: () => Promise<T> | T): Promise<T> {
    const permit = await this.acquire();
    try {
      return await fn();
    } finally {
      permit.release();
    }
  }

  /** Waits for a permit; a cancellation point. A cancelled wait leaves the line and takes nothing. */
  async acquire(): Promise<Permit> {
    currentScope().throwIfCancelled();
    return this.tryAcquire() ?? (await this.#wait());
  }

  /** A permit if one is free now; `undefined` if not. */
  tryAcquire(): Permit | undefined {
    if (this.#available === 0) return undefined;
    this.#available--;
    return this.#permit();
  }

  #wait(): Promise<Permit> {
    return suspend<Permit>((resume, fail) => {
      const leave = this.#line.add(resume);
      return (reason) => {
        leave();
        fail(reason);
      };
    });
  }

  #permit(): Permit {
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      const next = this.#line.take();
      if (next) next(this.#permit());
      else this.#available++;
    };
    return { release, [Symbol.dispose]: release };
  }
}
