/** Chance that repeats: the same seed gives the same numbers on every machine. */

/** From the least to the most. */
export type Span = readonly [least: number, most: number];

/**
 * A stream of pseudorandom numbers: "mulberry32" by Tommy Ettinger (public domain), with 32 bits of state. Good enough to
 * spread faults and times; not for secrets.
 */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 (included) to 1 (excluded). */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** A whole number in a span, its ends included. */
  within([least, most]: Span): number {
    return this.whole(least, most);
  }

  /** True once in `1 / share` times. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** One of `list`. @throws RangeError if it is empty */
  pick<T>(list: readonly T[]): T {
    const one = list[this.whole(0, list.length - 1)];
    if (one === undefined) throw new RangeError("nothing to pick from");
    return one;
  }

  /** A stream of its own, so that what one part draws does not change what others get. */
  branch(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32));
  }
}
