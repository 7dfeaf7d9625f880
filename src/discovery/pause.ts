/** Waiting for a while, or for something to happen. */
import type { Clock } from "../clock.ts";
import { suspend } from "../nursery/index.ts";

/** Lets one waiter be woken early. A call to `wake` while nobody waits counts for the next wait. */
export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #wake: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ends the wait that is going on, or the next one. */
  readonly wake = (): void => {
    this.#rung = true;
    this.#wake();
  };

  /** Waits for `ms` milliseconds on the clock, or until it is woken; a cancellation point. */
  async wait(ms: number): Promise<void> {
    await suspend<void>((resume, fail) => {
      if (this.#rung) {
        resume();
        return () => undefined;
      }
      const undo = ms === Infinity ? () => undefined : this.#clock.schedule(resume, ms);
      this.#wake = () => {
        undo();
        resume();
      };
      return (reason) => {
        undo();
        fail(reason);
      };
    });
    this.#rung = false;
    this.#wake = () => undefined;
  }
}
