/** Waiting for something to happen, but not for ever. */
import { moveOnAfter, suspend } from "../nursery/index.ts";

/** Lets one task wait until it is woken; what happens between two waits ends the next one at once. */
export class Wakeup {
  #pending = false;
  #resume: (() => void) | undefined;

  /** Ends the wait, or the next one. */
  wake(): void {
    this.#pending = true;
    this.#resume?.();
  }

  /** Waits to be woken, at most `ms` milliseconds. */
  async wait(ms: number): Promise<void> {
    await moveOnAfter(ms, () =>
      suspend<void>((resume, fail) => {
        if (this.#pending) resume();
        else this.#resume = resume;
        return fail;
      }),
    );
    this.#resume = undefined;
    this.#pending = false;
  }
}
