/** Ids of tasks: in the order in which they are given out. */
import { randomUUID } from "node:crypto";

const COUNTER_BITS = 12;
const INSTANT_BITS = 48;

/**
 * Gives out ids for one queue. Each is greater than the one before, also when the clock is set back.
 *
 * An id is 32 hexadecimal digits: a UUID of version 7 (RFC 9562, section 5.7, with the counter of 6.2, method 1) without
 * its dashes, with 62 random bits. Ids that are given one after the other are close to each other in an index, and so in
 * the file; random ones would make every submit touch a page of its own.
 */
export class TaskIds {
  #instant = 0;
  #sameInstant = 0;

  /** @param nowMs - milliseconds since 1970 */
  next(nowMs: number): string {
    const instant = Math.min(Math.max(Math.trunc(nowMs), 0), 2 ** INSTANT_BITS - 1);
    if (instant > this.#instant) {
      this.#instant = instant;
      this.#sameInstant = 0;
    } else if (++this.#sameInstant === 2 ** COUNTER_BITS) {
      this.#instant += 1;
      this.#sameInstant = 0;
    }
    const random = randomUUID();
    const head = `${hex(this.#instant, INSTANT_BITS)}7${hex(this.#sameInstant, COUNTER_BITS)}`;
    return head + random.slice(19, 23) + random.slice(24);
  }
}

function hex(value: number, bits: number): string {
  return value.toString(16).padStart(bits / 4, "0");
}
