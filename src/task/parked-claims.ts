/**
 * Claims that wait for a task, in the order in which they came.
 *
 * A claim takes a {@link Spot} before it asks the store, so that a task which becomes ready while the store answers
 * is not missed: the call for it is then waiting at the spot. Each call stands for a number of ready tasks and goes
 * to the first spots that take their lane and have not been called yet, as many as the tasks can feed. A spot that
 * does not use up its call (it got other tasks, gave up or failed) passes the rest on. Both rules together mean that
 * no task waits while somebody waits for it, and that one task does not wake everybody.
 *
 * A {@link Looker} only wants to know whether a claim would be worth while. It may not come back to claim, so no call
 * is spent on it: all lookers are told of tasks that no spot was called for.
 */

/** A claim that waits, or is about to. */
export interface Spot {
  readonly takes: (lane: string) => boolean;
  /** How many tasks it takes at most. */
  readonly limit: number;
  call: Call | undefined;
  ring: (() => void) | undefined;
}

/** Somebody who waits for the news alone. */
export interface Looker {
  readonly takes: (lane: string) => boolean;
  rung: boolean;
  ring: (() => void) | undefined;
}

/** News that tasks are ready. */
export interface Call {
  /** Undefined if everybody was called, whatever they take. */
  readonly lane: string | undefined;
  /** How many of them are for the one called. */
  readonly tasks: number;
  /** Nobody knows how many there are: whoever finds one calls {@link SPREAD} others. */
  readonly spreading: boolean;
}

/** Two others a time: all of n ready tasks are found in log n rounds, with at most as many calls in vain as tasks. */
const SPREAD = 2;

/** The waiting room. */
export class ParkedClaims {
  /** Insertion order is the order of arrival. */
  readonly #spots = new Set<Spot>();
  readonly #lookers = new Set<Looker>();

  /** How many claims are waiting or about to. */
  get size(): number {
    return this.#spots.size;
  }

  /** Whether anybody is there, to claim or to look. */
  get inUse(): boolean {
    return this.#spots.size + this.#lookers.size > 0;
  }

  /** Takes a place at the end. Must be followed by {@link leave}. */
  enter(takes: (lane: string) => boolean, limit: number): Spot {
    const spot: Spot = { takes, limit, call: undefined, ring: undefined };
    this.#spots.add(spot);
    return spot;
  }

  /** Begins to look. Must be followed by {@link lookAway}. */
  look(takes: (lane: string) => boolean): Looker {
    const looker: Looker = { takes, rung: false, ring: undefined };
    this.#lookers.add(looker);
    return looker;
  }

  lookAway(looker: Looker): void {
    this.#lookers.delete(looker);
  }

  /** Gives up the place; a call that came meanwhile goes to others. */
  leave(spot: Spot): void {
    this.#spots.delete(spot);
    if (spot.call) this.pass(spot.call);
  }

  /** Takes the call that waits at `spot`, before the store is asked: calls that come later are about later tasks. */
  answer(spot: Spot): Call | undefined {
    const { call } = spot;
    spot.call = undefined;
    return call;
  }

  /** Rings as soon as `spot` is called, at once if it has been. @returns the undo */
  park(spot: Spot, ring: () => void): () => void {
    if (spot.call) ring();
    else spot.ring = ring;
    return () => {
      spot.ring = undefined;
    };
  }

  /** Tells that exactly `tasks` more tasks are ready in `lane`. */
  ready(lane: string, tasks: number): void {
    this.#callSome(lane, tasks, false);
  }

  /** Tells that some tasks are ready in `lane`; nobody counted them. */
  someReady(lane: string): void {
    this.#callSome(lane, 1, true);
  }

  /** Tells that tasks are ready in more lanes than anybody named: everybody looks. */
  manyReady(): void {
    for (const spot of this.#spots) {
      spot.call ??= { lane: undefined, tasks: spot.limit, spreading: false };
      spot.ring?.();
    }
    this.#tellLookers(undefined);
  }

  /** Hands a call on that its receiver could not act on. */
  pass(call: Call): void {
    if (call.lane === undefined) return;
    this.#callSome(call.lane, call.tasks, call.spreading);
  }

  /**
   * Tells how `spot` fared with a call, so that the tasks it left reach others.
   *
   * @param lanes - the lanes of the tasks it got; none means that nothing is left of what it takes
   */
  answered(spot: Spot, call: Call, lanes: readonly string[]): void {
    if (lanes.length < spot.limit || call.lane === undefined) return;
    if (call.spreading) {
      for (let i = 0; i < SPREAD; i++) this.someReady(call.lane);
      return;
    }
    const left = call.tasks - lanes.filter((lane) => lane === call.lane).length;
    if (left > 0) this.ready(call.lane, left);
  }

  /** Wakes everybody, for the end. */
  wakeAll(): void {
    for (const spot of this.#spots) spot.ring?.();
    this.#tellLookers(undefined);
  }

  #tellLookers(lane: string | undefined): void {
    for (const looker of this.#lookers) {
      if (lane !== undefined && !looker.takes(lane)) continue;
      looker.rung = true;
      looker.ring?.();
    }
  }

  #callSome(lane: string, tasks: number, spreading: boolean): void {
    let left = tasks;
    for (const spot of this.#spots) {
      if (left <= 0) return;
      if (spot.call || !spot.takes(lane)) continue;
      const share = Math.min(left, spot.limit);
      spot.call = { lane, tasks: share, spreading };
      left -= share;
      spot.ring?.();
    }
    if (left > 0) this.#tellLookers(lane);
  }
}
