/** The tasks that can be claimed, lane by lane. */
import { PHASE } from "../phase.ts";
import { Heap } from "../heap.ts";
import { isInRange } from "../../task/routing.ts";
import type { LaneChoice, LaneRange, StoreClaim } from "../../task/store.ts";
import { MAX_SCANNED_LANES } from "../stores.ts";
import { bytesOf, type TaskRecord } from "./record.ts";

/** Below this a heap with cancelled tasks in it is not worth rebuilding. */
const MIN_REBUILD = 64;

interface Lane {
  readonly heap: Heap<TaskRecord>;
  /** Who is in the heap: once each, however often it became ready. */
  readonly members: Set<TaskRecord>;
  /** How many in the heap are not ready any more. */
  stale: number;
}

/**
 * Ready tasks. The best of a lane is found in logarithmic time, however many wait.
 *
 * A task that is ready no more without having been taken (cancelled, renewed late) stays in its heap until it comes
 * up, or until half of the heap is such tasks. If it becomes ready again meanwhile, its old place is its place.
 */
export class ReadyTasks {
  /** By the first character of their names, so that a range does not have to be looked for among all. */
  readonly #groups = new Map<string, Map<string, Lane>>();

  add(record: TaskRecord): void {
    let lane = this.#lane(record.lane);
    if (!lane) {
      lane = { heap: new Heap(comesFirst), members: new Set(), stale: 0 };
      this.#set(record.lane, lane);
    }
    if (lane.members.has(record)) {
      lane.stale -= 1;
      return;
    }
    lane.members.add(record);
    lane.heap.push(record);
  }

  /** Notes that a task in here is not ready any more. */
  noteGone(record: TaskRecord): void {
    const lane = this.#lane(record.lane);
    if (!lane) return;
    lane.stale += 1;
    if (lane.heap.size < MIN_REBUILD || lane.stale * 2 < lane.heap.size) return;
    lane.heap.retain((member) => {
      if (isReady(member)) return true;
      lane.members.delete(member);
      return false;
    });
    lane.stale = 0;
  }

  /** Takes up to `limit` tasks of the lanes that suit, best first, and no more than `maxBytes` unless it is one. */
  take({ choice, limit, maxBytes }: Pick<StoreClaim, "choice" | "limit" | "maxBytes">): TaskRecord[] {
    const heads = new Heap<TaskRecord>(comesFirst);
    for (const lane of new Set([...choice.lanes, ...this.#scan(choice.ranges)])) {
      const head = this.#head(lane);
      if (head) heads.push(head);
    }
    const taken: TaskRecord[] = [];
    let bytes = 0;
    while (taken.length < limit) {
      const best = heads.pop();
      if (!best) break;
      bytes += bytesOf(best);
      if (taken.length > 0 && bytes > maxBytes) break;
      taken.push(best);
      this.#drop(best);
      const next = this.#head(best.lane);
      if (next) heads.push(next);
    }
    return taken;
  }

  /** Whether a lane of `choice` has a ready task. */
  any({ lanes, ranges }: LaneChoice): boolean {
    if (lanes.some((lane) => this.#head(lane))) return true;
    for (const lane of this.#among(ranges))
      if (ranges.some((range) => isInRange(lane, range)) && this.#head(lane)) return true;
    return false;
  }

  /** The first lanes that have ready tasks, at most `limit`. */
  lanes(limit: number): string[] {
    const found: string[] = [];
    for (const lane of this.#among([{ from: "" }])) {
      if (found.length >= limit) break;
      if (this.#head(lane)) found.push(lane);
    }
    return found;
  }

  /** Lanes of `ranges`; those that were looked at go to the end if there are too many, so that others have their turn. */
  #scan(ranges: readonly LaneRange[]): string[] {
    const found: string[] = [];
    for (const lane of this.#among(ranges)) {
      if (!ranges.some((range) => isInRange(lane, range)) || !this.#head(lane)) continue;
      found.push(lane);
      if (found.length >= MAX_SCANNED_LANES) break;
    }
    if (found.length >= MAX_SCANNED_LANES) for (const lane of found) this.#toEnd(lane);
    return found;
  }

  #toEnd(name: string): void {
    const lane = this.#lane(name);
    if (!lane) return;
    this.#groups.get(name.slice(0, 1))?.delete(name);
    this.#set(name, lane);
  }

  #lane(name: string): Lane | undefined {
    return this.#groups.get(name.slice(0, 1))?.get(name);
  }

  #set(name: string, lane: Lane): void {
    const initial = name.slice(0, 1);
    const group = this.#groups.get(initial) ?? new Map<string, Lane>();
    group.set(name, lane);
    this.#groups.set(initial, group);
  }

  /** The lanes that may be in `ranges`. */
  *#among(ranges: readonly LaneRange[]): Generator<string> {
    const initials = new Set(ranges.map(({ from, before }) => initialOf(from, before)));
    const all = initials.has(undefined);
    for (const [initial, lanes] of this.#groups) if (all || initials.has(initial)) yield* lanes.keys();
  }

  /** Takes the first task of its lane out. */
  #drop(record: TaskRecord): void {
    const lane = this.#lane(record.lane);
    lane?.heap.pop();
    lane?.members.delete(record);
  }

  /** The best task of one lane; forgets cancelled ones on the way, and the lane if nothing is left. */
  #head(name: string): TaskRecord | undefined {
    const lane = this.#lane(name);
    if (!lane) return undefined;
    for (let head = lane.heap.peek(); head; head = lane.heap.peek()) {
      if (isReady(head)) return head;
      this.#drop(head);
      lane.stale -= 1;
    }
    this.#groups.get(name.slice(0, 1))?.delete(name);
    return undefined;
  }
}

function comesFirst(a: TaskRecord, b: TaskRecord): boolean {
  return a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority;
}

/** The first character of all lanes of a range; undefined if they have several. */
function initialOf(from: string, before: string | undefined): string | undefined {
  const initial = from.slice(0, 1);
  return initial !== "" && before?.startsWith(initial) ? initial : undefined;
}

function isReady(record: TaskRecord): boolean {
  return record.phase === PHASE.ready;
}
