/** Keeping something running that may crash. */
import { type Backoff, pauseAfter } from "./backoff.ts";
import { Cancelled } from "./cancelled.ts";
import { currentScope } from "./context.ts";
import { type Body, CancelScope } from "./scope.ts";
import { sleep } from "./suspend.ts";

/** What {@link SuperviseOptions.onCrash} learns of each crash. */
export interface CrashFacts {
  /** What the child crashed with. */
  readonly error: unknown;
  /** How many crashes in a row this is, from 1, without a healthy period in between. */
  readonly crashes: number;
  /** How long the child ran, in milliseconds. */
  readonly ranMs: number;
  /** The pause before the restart, in milliseconds; `undefined` if it is given up. */
  readonly pauseMs: number | undefined;
}

/** When a child is restarted, and when given up. */
export interface SuperviseOptions extends Backoff {
  /** A child that ran this many milliseconds was healthy: the pauses after it begin small again. Default 60,000. */
  readonly healthyMs?: number | undefined;
  /** Gives up when a further restart would exceed `restarts` within `withinMs`. Absent means never. */
  readonly limit?: { readonly restarts: number; readonly withinMs: number } | undefined;
  /** Is told of each crash before the pause. */
  readonly onCrash?: ((facts: CrashFacts) => void) | undefined;
}

/** Twice the longest default pause: what crashes sooner has hardly recovered. */
const DEFAULT_HEALTHY_MS = 60_000;

/**
 * Runs `fn` and restarts it, after a growing pause, whenever it crashes: `nursery.startSoon(() => supervise(fn))`.
 *
 * Each run gets a scope of its own, so that `fn` can be ended from inside by cancelling it. A
 * child that returns, or ends its own scope, is not restarted. Cancellation from outside ends both.
 *
 * @throws what the child crashed with last, when the limit is reached
 */
export async function supervise(
  fn: Body<CancelScope, unknown>,
  options: SuperviseOptions = {},
): Promise<void> {
  const { healthyMs = DEFAULT_HEALTHY_MS, onCrash } = options;
  const outer = currentScope();
  const restarts = new RestartLimit(options.limit);
  let crashes = 0;
  for (;;) {
    const began = outer.clock.now();
    try {
      await new CancelScope().run(fn);
      return;
    } catch (error) {
      if (outer.cancelled || error instanceof Cancelled) throw error;
      const ended = outer.clock.now();
      const ranMs = ended - began;
      crashes = ranMs >= healthyMs ? 1 : crashes + 1;
      const pauseMs = restarts.allows(ended) ? pauseAfter(crashes, options) : undefined;
      onCrash?.({ error, crashes, ranMs, pauseMs });
      if (pauseMs === undefined) throw error;
      await sleep(pauseMs);
    }
  }
}

/** Counts restarts in a sliding window. */
class RestartLimit {
  readonly #restarts: number;
  readonly #withinMs: number;
  #recent: number[] = [];

  constructor(limit: SuperviseOptions["limit"]) {
    this.#restarts = limit?.restarts ?? Infinity;
    this.#withinMs = limit?.withinMs ?? 0;
  }

  /** Whether one more is allowed at `now`; it is counted then. */
  allows(now: number): boolean {
    this.#recent = this.#recent.filter((at) => at > now - this.#withinMs);
    if (this.#recent.length >= this.#restarts) return false;
    this.#recent.push(now);
    return true;
  }
}
