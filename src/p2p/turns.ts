/**
 * When the requests of one peer begin: a few in each turn of the event loop, and none while its answers pile up.
 *
 * A chunk from the network holds hundreds of requests. Begun all at once they would keep everybody else waiting, and
 * their answers would be there before it shows that nobody reads them. What waits here is a request that was read
 * already; meanwhile nothing more is read of that peer's streams, so it is as much as one chunk of each.
 */
import type { P2pLimits } from "./limits.ts";

/** A stream whose requests take their turn. */
export interface TurnTaker {
  /** Reads nothing more until {@link TurnTaker.goOn}. */
  hold(): void;
  goOn(): void;
}

/** How many requests of a peer begin in the first turn, when nobody knows yet how large the answers are. */
const FIRST_QUOTA = 8;

/** What taking turns needs. */
export interface TurnsOptions {
  readonly limits: P2pLimits;
  /** Bytes that wait to be sent on all streams of the peer. */
  readonly unsentBytes: () => number;
}

/** The requests of one peer that wait to begin. */
export class Turns {
  readonly #options: TurnsOptions;
  #waiting: (() => void)[] = [];
  readonly #held = new Set<TurnTaker>();
  /** How many may begin in a turn of the event loop: fewer where answers are large. */
  #quota = FIRST_QUOTA;
  /** How many have begun in this one, and the bytes that were answered in it. */
  #begun = 0;
  #answeredBytes = 0;
  #turnEnds = false;
  #full = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Calls `begin` now, or when it is its turn; until then `taker` is held. Those of one peer begin in order. */
  take(taker: TurnTaker, begin: () => void): void {
    if (this.#waiting.length === 0 && this.#mayBegin()) {
      this.#begun += 1;
      this.#endTurn();
      begin();
      return;
    }
    this.#waiting.push(begin);
    this.#held.add(taker);
    taker.hold();
  }

  /** To be called when an answer of so many bytes was put on its way. */
  answered(bytes: number): void {
    this.#answeredBytes += bytes;
  }

  /** To be called when bytes have left for the peer, or will not any more. */
  wrote(): void {
    if (this.#full && !this.#isFull()) this.#endTurn();
  }

  /** A stream has ended. What waits of it still gets its turn, to find that out. */
  leave(taker: TurnTaker): void {
    this.#held.delete(taker);
    this.wrote();
  }

  #mayBegin(): boolean {
    return this.#begun < this.#quota && !this.#isFull();
  }

  /** Full at the limit, and again empty enough at half of it, so that it does not go back and forth. */
  #isFull(): boolean {
    const { maxHeldBytes } = this.#options.limits;
    const bytes = this.#options.unsentBytes();
    this.#full = bytes > (this.#full ? maxHeldBytes / 2 : maxHeldBytes);
    return this.#full;
  }

  /** Goes on in the next turn of the event loop, after whatever the network has brought meanwhile. */
  #endTurn(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#turnEnds = false;
    const { maxBegun, turnBytes } = this.#options.limits;
    if (this.#answeredBytes > turnBytes) this.#quota = Math.max(Math.floor(this.#quota / 2), 1);
    else if (this.#begun >= this.#quota) this.#quota = Math.min(this.#quota * 2, maxBegun);
    this.#begun = 0;
    this.#answeredBytes = 0;
    let next = 0;
    for (; next < this.#waiting.length && this.#mayBegin(); next++) {
      this.#begun += 1;
      this.#waiting[next]?.();
    }
    if (next > 0) this.#waiting = this.#waiting.slice(next);
    if (this.#waiting.length > 0) {
      // If it is full, whoever writes to the peer says when it is not any more.
      if (!this.#full) this.#endTurn();
      return;
    }
    if (this.#begun > 0) this.#endTurn();
    const held = [...this.#held];
    this.#held.clear();
    for (const taker of held) taker.goOn();
  };
}
