/** The phases of a task inside a store: its state, divided by what an engine must find quickly. */
import type { TaskFilter } from "../task/queue.ts";
import type { TaskState } from "../task/task.ts";

/**
 * The phases, as SQLite keeps them: a number here never changes its meaning.
 *
 * Those from `completed` on are final, which the partial indexes of the schema rely on.
 */
export const PHASE = {
  ready: 0,
  delayed: 1,
  leased: 2,
  completed: 3,
  failed: 4,
  dead: 5,
  cancelled: 6,
} as const;

/** One of the phases. */
export type Phase = (typeof PHASE)[keyof typeof PHASE];

/** All phases, in the order of their numbers. */
export const PHASES: readonly Phase[] = Object.values(PHASE);

const STATES: Readonly<Record<Phase, TaskState>> = {
  [PHASE.ready]: "queued",
  [PHASE.delayed]: "queued",
  [PHASE.leased]: "running",
  [PHASE.completed]: "completed",
  [PHASE.failed]: "failed",
  [PHASE.dead]: "failed",
  [PHASE.cancelled]: "cancelled",
};

/** The state that a task in `phase` shows. */
export function stateOf(phase: Phase): TaskState {
  return STATES[phase];
}

/** The phases that a filter lets through; all of them if it names neither state nor dead letters. */
export function phasesOf(filter: Pick<TaskFilter, "state" | "deadLetter">): readonly Phase[] {
  return PHASES.filter(
    (phase) =>
      (filter.state === undefined || STATES[phase] === filter.state) &&
      (filter.deadLetter === undefined || (phase === PHASE.dead) === filter.deadLetter),
  );
}
