/** A binary heap: the first element by an order, without keeping the rest sorted. */

/** Elements in a tree in which no parent comes after its children. */
export class Heap<T> {
  #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** @param before - whether `a` comes before `b`; it must stay the same while they are in the heap */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The first element, which stays; undefined if there is none. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(this.#items.length - 1, item);
  }

  /** Takes the first element out; undefined if there is none. */
  pop(): T | undefined {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (last !== undefined && this.#items.length > 0) this.#sink(last);
    return first;
  }

  /** The elements that `test` accepts, in no order. */
  filter(test: (item: T) => boolean): T[] {
    return this.#items.filter(test);
  }

  /** Drops every element that `keep` refuses, in time proportional to the size. */
  retain(keep: (item: T) => boolean): void {
    const kept = this.#items.filter(keep);
    this.#items = [];
    for (const item of kept) this.push(item);
  }

  #rise(from: number, item: T): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#items[above];
      if (parent === undefined || !this.#before(item, parent)) break;
      this.#items[at] = parent;
      at = above;
    }
    this.#items[at] = item;
  }

  #sink(item: T): void {
    let at = 0;
    for (;;) {
      const child = this.#firstChild(at);
      if (child === undefined || !this.#before(child.item, item)) break;
      this.#items[at] = child.item;
      at = child.at;
    }
    this.#items[at] = item;
  }

  #firstChild(parent: number): { readonly at: number; readonly item: T } | undefined {
    const at = 2 * parent + 1;
    const left = this.#items[at];
    if (left === undefined) return undefined;
    const right = this.#items[at + 1];
    if (right !== undefined && this.#before(right, left)) return { at: at + 1, item: right };
    return { at, item: left };
  }
}
