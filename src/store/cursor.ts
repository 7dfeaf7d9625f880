/** Cursors of task lists: where a page ended, as text that callers only hand back. */
import { InvalidInputError } from "../errors.ts";

/** A letter for the kind of cursor, then the submission number in base 36. */
const CURSOR = /^s([0-9a-z]{1,10})$/u;
const RADIX = 36;

/** The cursor for a page that ends with the task of submission number `seq`. */
export function cursorAfter(seq: number): string {
  return `s${seq.toString(RADIX)}`;
}

/**
 * The submission number after which the page of `cursor` begins; 0, which is before all, if there is no cursor.
 *
 * @throws InvalidInputError if a list did not make it
 */
export function seqOfCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  const digits = CURSOR.exec(cursor)?.[1];
  if (digits === undefined) {
    throw new InvalidInputError("the cursor is not one that a list returned", {
      hint: "pass the nextCursor of the page before, unchanged",
    });
  }
  return Number.parseInt(digits, RADIX);
}
