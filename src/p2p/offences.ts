/**
 * What peers did against the rules: counted, logged once for each kind in a while, and in the end answered by keeping
 * the peer out.
 *
 * A hostile crowd has as many identities as it likes, so both the memory and the number of log lines are bounded for
 * all together.
 */
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { Bucket } from "./bucket.ts";
import type { P2pLimits } from "./limits.ts";

/** What can be done against the rules. */
export type OffenceKind =
  | "broken message"
  | "slow message"
  | "does not read"
  | "too many messages"
  | "too many streams"
  | "storm of streams"
  | "wrong proof of the shared token"
  | "too many connections"
  | "from a link-local address"
  | "on the deny list"
  | "not on the allow list"
  | "kept out";

/** Who did it: a peer id, or an address as long as there is no more. */
export interface Offence {
  readonly who: string;
  readonly kind: OffenceKind;
  readonly reason: string;
}

/** Offences whose times are remembered; the oldest go first. */
const MAX_REMEMBERED = 1024;

interface Window {
  readonly sinceMs: number;
  /** How often it happened since the line. */
  more: number;
}

/** Counts offences and logs them. */
export class Offences {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: P2pLimits;
  readonly #windows = new Map<string, Window>();
  readonly #lines: Bucket;
  /** All that ever happened. */
  count = 0;
  /** Lines that were not written because there were too many about others. */
  #unsaid = 0;

  constructor({
    clock,
    logger,
    limits,
  }: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly limits: P2pLimits;
  }) {
    this.#clock = clock;
    this.#logger = logger;
    this.#limits = limits;
    this.#lines = new Bucket(clock, limits.logBurst, limits.logPerMinute / 60);
  }

  /** Notes an offence: one line for each kind and offender in a window, which says how many there were before. */
  note({ who, kind, reason }: Offence): void {
    this.count += 1;
    const key = `${kind} ${who}`;
    const now = this.#clock.now();
    const window = this.#windows.get(key);
    if (window && now - window.sinceMs < this.#limits.logWindowMs) {
      window.more += 1;
      return;
    }
    if (!this.#lines.take()) {
      this.#unsaid += 1;
      return;
    }
    const facts = { peer: who, offence: kind, reason, before: window?.more ?? 0, unsaid: this.#unsaid };
    this.#unsaid = 0;
    this.#windows.delete(key);
    const [oldest] = this.#windows.keys();
    if (this.#windows.size >= MAX_REMEMBERED && oldest !== undefined) this.#windows.delete(oldest);
    this.#windows.set(key, { sinceMs: now, more: 0 });
    this.#logger.warn(facts, "a peer broke the rules and was limited");
  }
}
