/** Tasks by instant, where an entry may go out of date. */
import { Heap } from "../heap.ts";
import type { TaskRecord } from "./record.ts";

/** Below this a heap with outdated entries is not worth rebuilding. */
const MIN_REBUILD = 64;

interface Entry {
  readonly record: TaskRecord;
  readonly atMs: number;
}

/**
 * Tasks in the order of an instant that each of them has, or has no more.
 *
 * A task whose instant changes is entered again. The outdated entry is dropped when it comes up, or when half of
 * the entries may be outdated.
 */
export class Timeline {
  readonly #instantOf: (record: TaskRecord) => number | undefined;
  readonly #entries = new Heap<Entry>((a, b) =>
    a.atMs === b.atMs ? a.record.seq < b.record.seq : a.atMs < b.atMs,
  );
  #rebuildAt = MIN_REBUILD;

  /** @param instantOf - the instant of a task at present; undefined if it does not belong here now */
  constructor(instantOf: (record: TaskRecord) => number | undefined) {
    this.#instantOf = instantOf;
  }

  /** Enters a task under its present instant, if it has one. */
  add(record: TaskRecord): void {
    const atMs = this.#instantOf(record);
    if (atMs === undefined) return;
    this.#entries.push({ record, atMs });
    if (this.#entries.size < this.#rebuildAt) return;
    this.#entries.retain((entry) => this.#isCurrent(entry));
    this.#rebuildAt = Math.max(MIN_REBUILD, 2 * this.#entries.size);
  }

  /** Takes out the first task whose instant is not after `nowMs`; undefined if there is none. */
  take(nowMs: number): TaskRecord | undefined {
    const next = this.#next();
    if (!next || next.atMs > nowMs) return undefined;
    this.#entries.pop();
    return next.record;
  }

  /** The first instant; undefined if there is none. */
  firstMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Every task whose instant is not after `nowMs`. Looks at all entries. */
  upTo(nowMs: number): TaskRecord[] {
    const entries = this.#entries.filter((entry) => entry.atMs <= nowMs && this.#isCurrent(entry));
    return [...new Set(entries.map((entry) => entry.record))];
  }

  #next(): Entry | undefined {
    for (let entry = this.#entries.peek(); entry; entry = this.#entries.peek()) {
      if (this.#isCurrent(entry)) return entry;
      this.#entries.pop();
    }
    return undefined;
  }

  #isCurrent({ record, atMs }: Entry): boolean {
    return this.#instantOf(record) === atMs;
  }
}
