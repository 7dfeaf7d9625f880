/**
 * The order in which the old workflow scheduler hands out tasks, under the policy `legacy` only.
 *
 * It keeps them in a Fibonacci heap (Fredman and Tarjan, 1987) whose key is 10 minus the priority, and never compares
 * anything else. So tasks of equal priority come out as the links of the heap happen to lie; test/vectors/priority_order.json
 * has the recorded order. What makes the order is kept here: where roots are inserted and which of two equal roots is on top.
 */

interface HeapNode<T> {
  readonly key: number;
  readonly value: T;
  /** The last linked one second, as in a ring that is entered at its first node. */
  readonly children: HeapNode<T>[];
}

/** A queue that pops the smallest key, and equal keys in the order of the old scheduler. */
export class LegacyOrder<T> {
  /** The ring of roots, written from the place after the smallest one. */
  #roots: HeapNode<T>[] = [];
  #least: HeapNode<T> | undefined;
  #size = 0;

  /** How many values it holds. */
  get size(): number {
    return this.#size;
  }

  /** Adds a value. */
  push(key: number, value: T): void {
    this.#size += 1;
    this.#addRoot({ key, value, children: [] });
  }

  /** Takes the value with the smallest key; undefined if there is none. */
  pop(): T | undefined {
    const taken = this.#least;
    if (!taken) return undefined;
    this.#size -= 1;
    const at = this.#roots.indexOf(taken);
    const after = [...this.#roots.slice(at + 1), ...this.#roots.slice(0, at)];
    const roots = consolidate([...taken.children.toReversed(), ...after]);
    this.#roots = [];
    this.#least = undefined;
    for (const root of roots) this.#addRoot(root);
    return taken.value;
  }

  #addRoot(node: HeapNode<T>): void {
    const least = this.#least;
    this.#roots.splice(least ? this.#roots.indexOf(least) + 1 : 0, 0, node);
    if (!least || node.key < least.key) this.#least = node;
  }
}

/** Links roots of equal degree until all degrees differ. @returns the roots by degree */
function consolidate<T>(roots: readonly HeapNode<T>[]): readonly HeapNode<T>[] {
  const byDegree: (HeapNode<T> | undefined)[] = [];
  for (const root of roots) {
    let top = root;
    for (;;) {
      const degree = top.children.length;
      const other = byDegree[degree];
      if (!other) break;
      byDegree[degree] = undefined;
      // Among equals the one that was looked at last goes on top.
      const [upper, lower] = top.key > other.key ? [other, top] : [top, other];
      upper.children.splice(1, 0, lower);
      top = upper;
    }
    byDegree[top.children.length] = top;
  }
  return byDegree.filter((root) => root !== undefined);
}
