/** The tasks that can be claimed, lane by lane. */
import { PHASE } from "../phase.ts";
import { Heap } from "../heap.ts";
import type { TaskRecord } from "./record.ts";

/** Below this a heap with cancelled tasks in it is not worth rebuilding. */
const MIN_REBUILD = 64;

interface Lane {
  readonly heap: Heap<TaskRecord>;
  /** How many in the heap were cancelled there. */
  stale: number;
}

/**
 * Ready tasks. The best of a lane is found in logarithmic time, however many wait.
 *
 * A task that is cancelled stays in its heap until it comes up, or until half of the heap is such tasks.
 */
export class ReadyTasks {
  readonly #lanes = new Map<string, Lane>();

  add(record: TaskRecord): void {
    let lane = this.#lanes.get(record.lane);
    if (!lane) {
      lane = { heap: new Heap(comesFirst), stale: 0 };
      this.#lanes.set(record.lane, lane);
    }
    lane.heap.push(record);
  }

  /** Notes that a task in here was cancelled. */
  noteCancelled(record: TaskRecord): void {
    const lane = this.#lanes.get(record.lane);
    if (!lane) return;
    lane.stale += 1;
    if (lane.heap.size < MIN_REBUILD || lane.stale * 2 < lane.heap.size) return;
    lane.heap.retain(isReady);
    lane.stale = 0;
  }

  /** Takes up to `limit` tasks of the lanes that `takes` accepts, best first. */
  take(limit: number, takes: (lane: string) => boolean): TaskRecord[] {
    const heads = new Heap<TaskRecord>(comesFirst);
    for (const head of this.heads()) if (takes(head.lane)) heads.push(head);

    const taken: TaskRecord[] = [];
    while (taken.length < limit) {
      const best = heads.pop();
      if (!best) break;
      taken.push(best);
      this.#lanes.get(best.lane)?.heap.pop();
      const next = this.#head(best.lane);
      if (next) heads.push(next);
    }
    return taken;
  }

  /** The best task of each lane that has any. */
  heads(): TaskRecord[] {
    return [...this.#lanes.keys()].flatMap((lane) => this.#head(lane) ?? []);
  }

  /** The best task of one lane; forgets cancelled ones on the way, and the lane if nothing is left. */
  #head(name: string): TaskRecord | undefined {
    const lane = this.#lanes.get(name);
    if (!lane) return undefined;
    for (let head = lane.heap.peek(); head; head = lane.heap.peek()) {
      if (isReady(head)) return head;
      lane.heap.pop();
      lane.stale -= 1;
    }
    this.#lanes.delete(name);
    return undefined;
  }
}

function comesFirst(a: TaskRecord, b: TaskRecord): boolean {
  return a.priority === b.priority ? a.seq < b.seq : a.priority > b.priority;
}

function isReady(record: TaskRecord): boolean {
  return record.phase === PHASE.ready;
}
