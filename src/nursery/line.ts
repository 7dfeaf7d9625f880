/** A queue whose every operation costs the same however long it is, leaving from the middle included. */

/** One place in a {@link Line}. */
interface Place<T> {
  readonly item: T;
  before: Place<T> | undefined;
  after: Place<T> | undefined;
  inLine: boolean;
}

/** First in, first out, unless left before. */
export class Line<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #size = 0;

  /** How many are in line. */
  get size(): number {
    return this.#size;
  }

  /** Puts `item` at the end; the returned function takes it out, if it is still in line. */
  add(item: T): () => void {
    const place: Place<T> = { item, before: this.#last, after: undefined, inLine: true };
    if (this.#last) this.#last.after = place;
    else this.#first = place;
    this.#last = place;
    this.#size++;
    return () => this.#remove(place);
  }

  /** Takes out the item that came first; `undefined` if the line is empty. */
  take(): T | undefined {
    const place = this.#first;
    if (!place) return undefined;
    this.#remove(place);
    return place.item;
  }

  #remove(place: Place<T>): void {
    if (!place.inLine) return;
    place.inLine = false;
    this.#size--;
    if (place.before) place.before.after = place.after;
    else this.#first = place.after;
    if (place.after) place.after.before = place.before;
    else this.#last = place.before;
  }
}
