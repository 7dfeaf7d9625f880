/** How many tasks a worker has in work, and who waits for room. */
import { suspend } from "../nursery/index.ts";

/** Counts what is in work, up to a limit. */
export class Slots {
  readonly #limit: number;
  #taken = 0;
  readonly #waiters = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  get free(): number {
    return this.#limit - this.#taken;
  }

  /** Takes one. @returns false if none is free */
  take(): boolean {
    if (this.free <= 0) return false;
    this.#taken++;
    return true;
  }

  /** Gives one back. */
  give(): void {
    this.#taken--;
    this.#tell();
  }

  /** Waits until `condition` holds; it is looked at whenever a slot was given back. */
  async until(condition: (slots: Slots) => boolean): Promise<void> {
    while (!condition(this)) {
      const undo: (() => void)[] = [];
      try {
        await suspend<void>((resume, fail) => {
          this.#waiters.add(resume);
          undo.push(() => this.#waiters.delete(resume));
          return fail;
        });
      } finally {
        for (const step of undo) step();
      }
    }
  }

  #tell(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }
}
