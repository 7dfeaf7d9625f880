/**
 * Ends tasks for callers that present no fencing token: the old wire and a model that only knows the task's id.
 *
 * Without a token nobody can tell an earlier claim from a later one. So it is accepted only where there was one
 * claim: under the first lease ever given for the task, while it is in force, from whoever holds it. Where many
 * workers act under one holder's name, as on the old wire, the name of the worker tells claims apart: whoever gives
 * it must be the one that the lease in force was given to, and may then act under a later lease as well.
 */
import { LeaseLostError, LeaseTokenRequiredError, TaskFinishedError, TaskNotFoundError } from "../errors.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { Lease } from "./queue.ts";
import type { TaskStore } from "./store.ts";
import { isFinished } from "./task.ts";

/** How a task ends: as a result that waits in an outbox does. */
export type HeldOutcome = OutboxEntry["outcome"];

/** Who acts without a token, and on what. */
export interface HeldClaim {
  readonly holder: string;
  readonly taskId: string;
  /** The worker that acts, by its own account; absent if it does not say. */
  readonly workerId?: string | undefined;
}

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
    await this.under({ holder, taskId }, (lease) => this.#door.settle(holder, lease, outcome));
  }

  /** Does `act` under the lease in force, if `claim` is good for it. @throws as {@link settle}, and what `act` throws */
  async under(claim: HeldClaim, act: (lease: Lease) => Promise<void>): Promise<void> {
    const { taskId } = claim;
    const before = this.#underWay.get(taskId) ?? Promise.resolve();
    const run = async (): Promise<void> => act(await this.#leaseOf(claim));
    // The next one waits for this one's end, however it ends.
    const mine = before.then(run, run);
    this.#underWay.set(taskId, mine);
    try {
      await mine;
    } finally {
      if (this.#underWay.get(taskId) === mine) this.#underWay.delete(taskId);
    }
  }

  async #leaseOf({ holder, taskId, workerId }: HeldClaim): Promise<Lease> {
    const { store } = this.#door;
    const held = await store.leaseOf(taskId);
    if (!held) {
      const task = await store.get(taskId);
      if (!task) throw new TaskNotFoundError(taskId);
      if (isFinished(task.state)) throw new TaskFinishedError(taskId, task.state);
      throw new LeaseLostError(taskId, FIRST_TOKEN);
    }
    if (held.token > FIRST_TOKEN && workerId === undefined) throw new LeaseTokenRequiredError(taskId);
    const isTheirs = held.holder === holder && (workerId === undefined || workerId === held.workerId);
    if (!isTheirs) throw new LeaseLostError(taskId, held.token);
    return { taskId, token: held.token };
  }
}
