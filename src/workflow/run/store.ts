/**
 * What an engine must offer to keep the runs of workflows: their logs, which only grow, and who conducts them.
 *
 * Every call is atomic, and durable when it resolves. Whoever appends says where the log ended when they decided; if
 * somebody was quicker, nothing is written. So a log has no two opinions, whoever writes to it.
 */
import type { RunEvent, RunState } from "./events.ts";

/** What is known of a run without reading its log. */
export interface RunRow {
  readonly id: string;
  /** The name of its workflow. */
  readonly workflow: string;
  readonly state: RunState;
  /** How many events its log has. */
  readonly length: number;
  /** How many of its steps wait for a person. */
  readonly asking: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Who conducts it, or did last; undefined if nobody does. */
  readonly conductor?: string | undefined;
  /** Until when that holds. */
  readonly conductedUntilMs?: number | undefined;
}

/** A run that begins. */
export interface NewRun {
  readonly id: string;
  readonly workflow: string;
  /** The same key gives the same run. */
  readonly idempotencyKey?: string | undefined;
  /** Tells a repeated start from a conflicting one. */
  readonly digest: string;
}

/** What an append changes besides the log. */
export interface RunChange {
  readonly state: RunState;
  readonly asking: number;
}

/** Who may conduct. */
export interface ConductorName {
  /** The same after a restart, and nobody else's at the same time: its own runs are given back at once. */
  readonly name: string;
  /** Another one for each process. */
  readonly instance: string;
}

/** What {@link WorkflowStore.take} gave. */
export interface Taken {
  readonly runIds: readonly string[];
  /** When the next run that somebody else conducts falls free, if none renews; undefined if there is none. */
  readonly nextFreeMs?: number | undefined;
}

/** Which runs a list shows. */
export interface RunFilter {
  readonly state?: RunState | undefined;
  readonly workflow?: string | undefined;
  /** Only runs that wait for a person. */
  readonly asking?: boolean | undefined;
  readonly limit?: number | undefined;
  /** Where the page before ended. */
  readonly cursor?: string | undefined;
}

/** One page of runs, newest first. */
export interface RunPage {
  readonly runs: readonly RunRow[];
  readonly nextCursor?: string | undefined;
}

/** Storage of the runs of one node, or of those that share a database. */
export interface WorkflowStore {
  /**
   * Keeps a new run with its first event. A known idempotency key with an equal digest gives the old run.
   *
   * @throws IdempotencyConflictError if the key is known for a different digest
   */
  create(
    run: NewRun,
    first: RunEvent,
    nowMs: number,
  ): Promise<{ readonly runId: string; readonly created: boolean }>;
  /**
   * Adds events to a log.
   *
   * @param events - whose numbers go on where the log ends
   * @param instance - of the conductor that appends; absent for those who only ask something of a run
   * @throws RunNotFoundError, RunConflictError if the log has grown meanwhile, ConductorLostError if another instance conducts
   */
  append(
    runId: string,
    events: readonly RunEvent[],
    change: RunChange,
    nowMs: number,
    instance?: string,
  ): Promise<void>;
  /** Up to `limit` events after the one of number `after`, in order; none if there is no such run. */
  events(runId: string, after: number, limit: number): Promise<readonly RunEvent[]>;
  get(runId: string): Promise<RunRow | undefined>;
  list(filter: RunFilter & { readonly limit: number }): Promise<RunPage>;
  /**
   * Gives up to `limit` running runs to a conductor: those that nobody conducts any more, and those of its own name,
   * but for those that this instance has already. Oldest first.
   */
  take(who: ConductorName, untilMs: number, limit: number, nowMs: number): Promise<Taken>;
  /** Lengthens all leases of an instance. @returns the runs that it still conducts */
  renew(instance: string, untilMs: number): Promise<readonly string[]>;
  /** Ends all leases of an instance, so that others need not wait for their end. */
  release(instance: string): Promise<void>;
  /** How long the logs are of the runs that an instance conducts. */
  survey(instance: string): Promise<readonly { readonly runId: string; readonly length: number }[]>;
  /** Tells `listener` soon after another process has changed something. @returns ends that */
  onForeignChange(listener: () => void): () => void;
  /** Deletes up to `limit` runs that ended before `beforeMs`. @returns how many */
  prune(beforeMs: number, limit: number): Promise<number>;
}
