/**
 * Ends tasks for callers that present no fencing token: the old wire and a model that only knows the task's id.
 *
 * Without a token nobody can tell an earlier claim from a later one. So it is accepted only where there was one
 * claim: under the first lease ever given for the task, while it is in force, from whoever holds it.
 */
import { LeaseLostError, LeaseTokenRequiredError, TaskFinishedError, TaskNotFoundError } from "../errors.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { Lease } from "./queue.ts";
import type { TaskStore } from "./store.ts";
import { isFinished } from "./task.ts";

/** How a task ends: as a result that waits in an outbox does. */
export type HeldOutcome = OutboxEntry["outcome"];

/** The token of a task's first lease. */
const FIRST_TOKEN = 1;

/** What is needed to settle once the lease is known. */
export interface HeldDoor {
  readonly store: Pick<TaskStore, "leaseOf" | "get">;
  settle(holder: string, lease: Lease, outcome: HeldOutcome): Promise<void>;
}

/** Settles without a token, one call for a task at a time, so that of two only the first is accepted. */
export class HeldSettlements {
  readonly #door: HeldDoor;
  /** The last call for each task that has one under way. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(door: HeldDoor) {
    this.#door = door;
  }

  /**
   * Ends a task that `holder` has under its first lease.
   *
   * @throws TaskNotFoundError, TaskFinishedError if it has ended (also by the same call before), LeaseTokenRequiredError
   *   if it was claimed more than once, LeaseLostError if it is not running or another holder has it
   */
  async settle(holder: string, taskId: string, outcome: HeldOutcome): Promise<void> {
    const before = this.#underWay.get(taskId) ?? Promise.resolve();
    const run = async (): Promise<void> =>
      this.#door.settle(holder, await this.#leaseOf(holder, taskId), outcome);
    // The next one waits for this one's end, however it ends.
    const mine = before.then(run, run);
    this.#underWay.set(taskId, mine);
    try {
      await mine;
    } finally {
      if (this.#underWay.get(taskId) === mine) this.#underWay.delete(taskId);
    }
  }

  async #leaseOf(holder: string, taskId: string): Promise<Lease> {
    const { store } = this.#door;
    const held = await store.leaseOf(taskId);
    if (!held) {
      const task = await store.get(taskId);
      if (!task) throw new TaskNotFoundError(taskId);
      if (isFinished(task.state)) throw new TaskFinishedError(taskId, task.state);
      throw new LeaseLostError(taskId, FIRST_TOKEN);
    }
    if (held.token > FIRST_TOKEN) throw new LeaseTokenRequiredError(taskId);
    if (held.holder !== holder) throw new LeaseLostError(taskId, held.token);
    return { taskId, token: held.token };
  }
}
