/** The attempts at one request: which failures are worth another one, and when. */
import type { Clock } from "../clock.ts";
import { McpError, ServerBusyError } from "../errors.ts";
import { rethrowIfCancelled, sleep } from "../nursery/index.ts";
import { nothingBegun } from "./failure.ts";

/** The longest pause before the first repetition; it doubles with each one. */
const RETRY_BASE_MS = 200;
/** The longest pause at all: calls have deadlines of a minute. */
const RETRY_CAP_MS = 10_000;

/** Options of {@link Attempts}. */
export interface AttemptsOptions {
  /** How many attempts may follow the first. */
  readonly retries: number;
  readonly random: () => number;
  readonly clock: Clock;
  /** When the request must be over, by `clock.now()`. */
  readonly endsAt: number;
  /** Whether doing it twice is the same as doing it once. Asked only if the first may have been carried out. */
  readonly mayRepeat: () => boolean | Promise<boolean>;
}

/** Repeats a request where that is safe, with growing pauses of full jitter (AWS Architecture Blog, 2015). */
export class Attempts {
  readonly #options: AttemptsOptions;
  /** Why the last attempt failed; undefined if none did, or if it was not worth another one. */
  failure: McpError | undefined;

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /** @throws what the last attempt threw */
  async run<T>(once: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await once();
      } catch (error) {
        rethrowIfCancelled(error);
        await sleep(await this.#pauseAfter(error, attempt));
      }
    }
  }

  async #pauseAfter(error: unknown, attempt: number): Promise<number> {
    const { retries, random, clock, endsAt, mayRepeat } = this.#options;
    if (!(error instanceof McpError) || attempt >= retries) throw error;
    const passing = error.failureClass === "unavailable" || error.failureClass === "busy";
    if (!passing || !(nothingBegun(error) || (await mayRepeat()))) throw error;
    this.failure = error;
    const jittered = random() * Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** attempt);
    const pause = error instanceof ServerBusyError ? Math.max(error.retryAfterMs, jittered) : jittered;
    if (clock.now() + pause >= endsAt) throw error;
    return pause;
  }
}
