/**
 * How many tasks are in each phase: added up in memory during a transaction, written once at its end.
 *
 * Triggers were rejected: they cost a third of a submit. Whatever moves a task must therefore tell it here, and
 * `mcpp store check` finds out if something did not.
 */
import { type Phase, PHASES } from "../phase.ts";

const ADD = "UPDATE task_counts SET n = n + ?2 WHERE phase = ?1";

/** The connection, as far as this file needs it. */
interface Writer {
  run(sql: string, values: readonly number[]): number;
}

/** What the open transaction has changed so far. */
export class PhaseCounts {
  #changes: number[] = PHASES.map(() => 0);

  /** Tells that a task has come (`from` absent), gone (`to` absent) or gone from one phase to another. */
  moved(from: Phase | undefined, to: Phase | undefined): void {
    if (from !== undefined) this.#add(from, -1);
    if (to !== undefined) this.#add(to, 1);
  }

  /** What there is to go back to, with {@link reset}. */
  mark(): readonly number[] {
    return [...this.#changes];
  }

  /** Forgets what came after `mark`; all of it if there is none. */
  reset(mark: readonly number[] = []): void {
    this.#changes = PHASES.map((phase) => mark[phase] ?? 0);
  }

  /** Writes the changes, within the transaction that made them. */
  flush(connection: Writer): void {
    for (const phase of PHASES) {
      const change = this.#changes[phase] ?? 0;
      if (change !== 0) connection.run(ADD, [phase, change]);
    }
    this.reset();
  }

  #add(phase: Phase, by: number): void {
    this.#changes[phase] = (this.#changes[phase] ?? 0) + by;
  }
}
