/** The figures of a queue, from the counts that an engine keeps. */
import type { QueueStats } from "../task/queue.ts";
import { PHASE, type Phase } from "./phase.ts";

/** What an engine knows without looking at the tasks. */
export interface QueueFigures {
  readonly count: (phase: Phase) => number;
  /** Delayed tasks whose time has come, though nothing has made them ready yet. */
  readonly overdue: number;
  /** Since when the one that has waited longest could be claimed. */
  readonly oldestReadyMs: number | undefined;
}

/** The figures as callers see them. */
export function queueStats({ count, overdue, oldestReadyMs }: QueueFigures, nowMs: number): QueueStats {
  return {
    byState: {
      queued: count(PHASE.ready) + count(PHASE.delayed),
      running: count(PHASE.leased),
      completed: count(PHASE.completed),
      failed: count(PHASE.failed) + count(PHASE.dead),
      cancelled: count(PHASE.cancelled),
    },
    ready: count(PHASE.ready) + overdue,
    deadLetters: count(PHASE.dead),
    oldestReadyMs: oldestReadyMs === undefined ? 0 : Math.max(0, nowMs - oldestReadyMs),
  };
}
