/**
 * How many tasks a worker has in work, and who waits for room.
 *
 * Nobody claims a task without a slot for it. Those who know of work wait in line, so that a queue which always has
 * some comes after all others that have some too.
 */
import { suspend } from "../nursery/index.ts";

interface Waiter {
  readonly limit: number;
  readonly resume: (slots: number) => void;
}

/** Counts what is in work or reserved for it, up to a limit. */
export class Slots {
  readonly #limit: number;
  #taken = 0;
  readonly #line = new Set<Waiter>();
  readonly #idle = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many are in work or reserved. */
  get taken(): number {
    return this.#taken;
  }

  /** Waits in line, and takes its share of what is free: at least one, at most `limit`. @returns how many */
  reserve(limit: number): Promise<number> {
    return suspend<number>((resume, fail) => {
      const waiter: Waiter = { limit, resume };
      this.#line.add(waiter);
      this.#serve();
      return (reason) => {
        this.#line.delete(waiter);
        fail(reason);
      };
    });
  }

  /** Gives back slots. */
  give(slots: number): void {
    this.#taken -= slots;
    this.#serve();
    if (this.#taken > 0) return;
    const waiters = [...this.#idle];
    this.#idle.clear();
    for (const wake of waiters) wake();
  }

  /** Waits until nothing is in work or reserved. */
  async untilIdle(): Promise<void> {
    while (this.#taken > 0) {
      await suspend<void>((resume, fail) => {
        this.#idle.add(resume);
        return (reason) => {
          this.#idle.delete(resume);
          fail(reason);
        };
      });
    }
  }

  #serve(): void {
    for (const waiter of this.#line) {
      const free = this.#limit - this.#taken;
      if (free <= 0) return;
      const slots = Math.min(waiter.limit, Math.max(1, Math.floor(free / this.#line.size)));
      this.#line.delete(waiter);
      this.#taken += slots;
      waiter.resume(slots);
    }
  }
}
