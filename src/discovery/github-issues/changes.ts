/** Waiting for something to change, or for a time, whichever is first. */
import { moveOnAfter, type Resume, suspend } from "../../nursery/index.ts";

/** Changes that one task waits for. One that happens while it does something else is not lost. */
export class Changes {
  #pending = false;
  #wake: Resume<void> | undefined;

  /** Something has changed. */
  notify(): void {
    this.#pending = true;
    this.#wake?.();
  }

  /** Waits for a change, at most `ms`; `Infinity` waits for one. */
  async next(ms: number): Promise<void> {
    if (ms === Infinity) await this.#change();
    else await moveOnAfter(ms, () => this.#change());
    this.#pending = false;
  }

  async #change(): Promise<void> {
    if (this.#pending) return;
    try {
      await suspend<void>((resume, fail) => {
        this.#wake = resume;
        return fail;
      });
    } finally {
      this.#wake = undefined;
    }
  }
}
