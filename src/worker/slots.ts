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

/** Where slots come from. */
export interface Room {
  /** Waits in line, and takes its share of what is free: at least one, at most `limit`. @returns how many */
  reserve(limit: number): Promise<number>;
  /** Gives back slots. */
  give(slots: number): void;
}

/** Counts what is in work or reserved for it, up to a limit. */
export class Slots implements Room {
  #limit: number;
  #taken = 0;
  #peak = 0;
  #lineForms: (() => void) | undefined;
  readonly #line = new Set<Waiter>();
  readonly #idle = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get limit(): number {
    return this.#limit;
  }

  /** What is taken beyond a smaller limit stays taken until it is given back. */
  set limit(slots: number) {
    this.#limit = slots;
    this.#serve();
  }

  /** Whether somebody waits in line. */
  get isWaitedFor(): boolean {
    return this.#line.size > 0;
  }

  /** How many were taken at most since this was last asked. */
  takePeak(): number {
    const peak = this.#peak;
    this.#peak = this.#taken;
    return peak;
  }

  /** Waits until somebody waits in line. For one at a time. */
  async untilWaitedFor(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#lineForms = resume;
      if (this.isWaitedFor) resume();
      return fail;
    });
  }

  /** How many are in work or reserved. */
  get taken(): number {
    return this.#taken;
  }

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
      if (free <= 0) break;
      const slots = Math.min(waiter.limit, Math.max(1, Math.floor(free / this.#line.size)));
      this.#line.delete(waiter);
      this.#taken += slots;
      this.#peak = Math.max(this.#peak, this.#taken);
      waiter.resume(slots);
    }
    if (this.isWaitedFor) this.#lineForms?.();
  }
}

/** The slots of some types of tasks, within those of the whole worker. */
export class Share implements Room {
  readonly #own: Slots;
  readonly #whole: Slots;

  constructor(own: Slots, whole: Slots) {
    this.#own = own;
    this.#whole = whole;
  }

  async reserve(limit: number): Promise<number> {
    const own = await this.#own.reserve(limit);
    let slots = 0;
    try {
      slots = await this.#whole.reserve(own);
      return slots;
    } finally {
      this.#own.give(own - slots);
    }
  }

  give(slots: number): void {
    this.#whole.give(slots);
    this.#own.give(slots);
  }
}
