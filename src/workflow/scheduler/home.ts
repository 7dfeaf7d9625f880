/**
 * The workflow tasks of one node: the only authority over them.
 *
 * They are tasks of the node's queue, on its disk before a submit is answered, and whoever works on one holds a lease of
 * that queue. So a result is accepted once whatever the network does, and what this node forgets with its process it
 * reads from the queue again. What is kept in memory is only the order in which they go, and to whom.
 */
import type { Clock } from "../../clock.ts";
import { IdempotencyConflictError } from "../../errors.ts";
import type { LocalTaskQueue } from "../../task/local.ts";
import {
  type CallOptions,
  type ClaimedTask,
  type Lease,
  MAX_LIST_LIMIT,
  type TaskQueue,
} from "../../task/queue.ts";
import { ASSIGNED_TYPES, assignedIn, laneOfAssigned } from "../../task/routing.ts";
import { isFinished } from "../../task/task.ts";
import type { VectorClock } from "../clock.ts";
import type { Membership } from "./membership.ts";
import { Judge, type PolicyName, type Verdict } from "./policy.ts";
import {
  queueTask,
  waitingFor,
  waitingTask,
  type WaitingTask,
  type WorkflowTask,
  workflowTask,
} from "./task.ts";
import { type Waiting, WaitingTasks } from "./waiting.ts";

/** What a node could give to whoever asks. */
export interface Offer {
  readonly priority: number;
  /** How long the task has waited, in milliseconds. */
  readonly waitedMs: number;
}

/** A workflow task that was given out. */
export interface AssignedTask {
  readonly task: WorkflowTask;
  readonly lease: Lease;
  /** Until when the lease holds, by the clock of the task's home. */
  readonly leaseUntilMs: number;
  /** Who the policy names. */
  readonly owner: string;
}

/** The workflow tasks of a node, near or far, as one peer sees them. */
export interface WorkflowHome {
  /** What the next claim would give; undefined if nothing. */
  offer(options?: CallOptions): Promise<Offer | undefined>;
  /** Takes the next task for the peer; undefined if there is none for it. */
  claim(leaseMs: number, options?: CallOptions): Promise<AssignedTask | undefined>;
  /** The lease under which the peer holds a task of this id; undefined if it does not. */
  held(taskId: string, options?: CallOptions): Promise<Lease | undefined>;
}

/** What a home is made of. */
export interface HomeOptions {
  readonly queue: LocalTaskQueue;
  readonly membership: Membership;
  readonly policy: PolicyName;
  readonly clock: Clock;
  /** Counts submissions and completions; moved by this file. */
  readonly vector: VectorClock;
}

/** How many tasks are where. */
export interface HomeCounts {
  readonly pending: number;
  readonly assigned: number;
  /** Since the node was started. */
  readonly completed: number;
}

/** A task that is in somebody's hands. */
interface Assigned extends WaitingTask {
  readonly holder: string;
  readonly token: number;
}

/** The workflow tasks of this node. */
export class Home {
  readonly #options: HomeOptions;
  readonly #judge: Judge;
  readonly #waiting: WaitingTasks;
  readonly #assigned = new Map<string, Assigned>();
  /** Names of assigned tasks by the id that the queue gave them. */
  readonly #names = new Map<string, string>();
  /** Those that are being submitted, so that the queue's news of them is no news. */
  readonly #arriving = new Set<string>();
  #completed = 0;
  #reading: Promise<void> | undefined;
  #stale = true;

  constructor(options: HomeOptions) {
    const { membership, policy, vector, queue } = options;
    this.#options = options;
    this.#judge = new Judge({ membership, policy, clockRoot: () => vector.root });
    this.#waiting = new WaitingTasks(policy);
    queue.follow({ ended: (queueId) => this.#ended(queueId), ready: (lane) => this.#ready(lane) });
  }

  /** The tasks as the peer `peerId` sees them, who is authenticated. */
  as(peerId: string): WorkflowHome {
    return {
      offer: async () => this.#offer(peerId),
      claim: (leaseMs, options) => this.#claim(peerId, leaseMs, options),
      held: (taskId) => this.#heldBy(peerId, taskId),
    };
  }

  /**
   * Puts a task in. When it resolves, the task is on disk.
   *
   * @returns false if one of this id waits or is in somebody's hands; one that has ended does not count
   */
  async submit(task: WorkflowTask): Promise<boolean> {
    await this.#read();
    const { taskId } = task;
    if (this.#arriving.has(taskId) || (await this.#isThere(taskId))) return false;
    return this.#add(task, () => this.#insert(task));
  }

  async #add(task: WorkflowTask, insert: () => Promise<string | undefined>): Promise<boolean> {
    const { taskId } = task;
    this.#arriving.add(taskId);
    try {
      const queueId = await insert();
      if (queueId === undefined) return false;
      this.#learn(waitingFor(task, queueId, this.#options.clock.epochMs()), "queued");
    } finally {
      this.#arriving.delete(taskId);
    }
    this.#options.vector.tick();
    return true;
  }

  /**
   * Puts a task in once for each edition of it, as long as the queue remembers those that have ended.
   *
   * @param edition - what tells it from earlier tasks of this id: letters and digits
   * @returns `known` if this edition was here before, `busy` if a task of this id has not ended
   */
  async submitOnce(task: WorkflowTask, edition: string): Promise<"submitted" | "known" | "busy"> {
    await this.#read();
    if (this.#arriving.has(task.taskId) || (await this.#isThere(task.taskId))) return "busy";
    return (await this.#add(task, () => this.#insertEdition(task, edition))) ? "submitted" : "known";
  }

  /** The lease in force on a task of this id, whoever holds it. */
  async leaseOf(taskId: string): Promise<(Lease & { readonly holder: string }) | undefined> {
    await this.#read();
    const known = this.#assigned.get(taskId);
    return known && this.#options.queue.leaseOf(known.queueId);
  }

  /** The queue in the hands of `holder`, for what is done under its leases. */
  queueOf(holder: string): TaskQueue {
    return this.#options.queue.as(holder);
  }

  async counts(): Promise<HomeCounts> {
    await this.#read();
    return { pending: this.#waiting.size, assigned: this.#assigned.size, completed: this.#completed };
  }

  /** Whose a task is and why it may or may not be had, if `asker` asked now; undefined if none of this id waits. */
  async explain(taskId: string, asker: string): Promise<Verdict | undefined> {
    await this.#read();
    const task = this.#waiting.get(taskId);
    return task && this.#judge.ruleFor(asker)(task, this.#waitedMs(task));
  }

  /** The tasks that wait, in the order in which they go. */
  async list(limit: number): Promise<readonly WaitingTask[]> {
    await this.#read();
    return this.#waiting.list(limit);
  }

  /** @returns undefined if somebody else has put one of this id in */
  async #insert(task: WorkflowTask): Promise<string | undefined> {
    const { queue } = this.#options.queue;
    for (let generation = 0; ; generation++) {
      try {
        const [receipt] = await queue.submit([queueTask(task, generation)]);
        if (receipt?.created) return receipt.taskId;
        const before = receipt && (await queue.get(receipt.taskId));
        if (before && !isFinished(before.state)) return undefined;
      } catch (error) {
        // Another task had this id before, or has it now.
        if (!(error instanceof IdempotencyConflictError)) throw error;
        if (await this.#isOpen(error.taskId)) return undefined;
      }
    }
  }

  async #insertEdition(task: WorkflowTask, edition: string): Promise<string | undefined> {
    const [receipt] = await this.#options.queue.queue.submit([queueTask(task, edition)]);
    return receipt?.created ? receipt.taskId : undefined;
  }

  async #isOpen(queueId: string): Promise<boolean> {
    const task = await this.#options.queue.queue.get(queueId);
    return task !== undefined && !isFinished(task.state);
  }

  /** Whether a task of this id has not ended; others may have ended it in the store. */
  async #isThere(taskId: string): Promise<boolean> {
    const known = this.#waiting.get(taskId) ?? this.#assigned.get(taskId);
    if (!known) return false;
    if (await this.#isOpen(known.queueId)) return true;
    this.#forget(known.queueId, taskId);
    return false;
  }

  async #offer(peerId: string): Promise<Offer | undefined> {
    await this.#read();
    this.#options.membership.asked(peerId);
    const task = this.#waiting.find(this.#testFor(peerId));
    return task && { priority: task.priority, waitedMs: this.#waitedMs(task) };
  }

  async #claim(
    peerId: string,
    leaseMs: number,
    options: CallOptions | undefined,
  ): Promise<AssignedTask | undefined> {
    await this.#read();
    this.#options.membership.asked(peerId);
    for (;;) {
      const task = this.#waiting.take(this.#testFor(peerId));
      if (!task) return undefined;
      const owner = this.#judge.ownersFor(peerId)(task.hash);
      const claimed = await this.#lease(task, peerId, leaseMs, options);
      const content = claimed && workflowTask(claimed.task);
      if (!claimed || !content) continue;
      const { lease, leaseUntilMs } = claimed;
      return { task: content, lease, leaseUntilMs, owner: task.placement === "github" ? peerId : owner };
    }
  }

  /** @returns undefined if it is not to be had any more */
  async #lease(
    task: Waiting,
    holder: string,
    leaseMs: number,
    options: CallOptions | undefined,
  ): Promise<ClaimedTask | undefined> {
    const { queue } = this.#options;
    const lane = laneOfAssigned(task.taskId);
    try {
      const claimed = await queue.claimLane(holder, lane, { workerId: holder, leaseMs }, options);
      if (claimed) {
        this.#assigned.set(task.taskId, { ...task, holder, token: claimed.lease.token });
        this.#names.set(claimed.lease.taskId, task.taskId);
      }
      return claimed;
    } catch (error) {
      this.#waiting.add(task);
      throw error;
    }
  }

  async #heldBy(peerId: string, taskId: string): Promise<Lease | undefined> {
    const lease = await this.leaseOf(taskId);
    return lease?.holder === peerId ? { taskId: lease.taskId, token: lease.token } : undefined;
  }

  /** Whether `peerId` may have a task, if it asks now. */
  #testFor(peerId: string): (task: Waiting) => boolean {
    const rule = this.#judge.ruleFor(peerId);
    return (task) => rule(task, this.#waitedMs(task)).may;
  }

  #waitedMs({ readyAtMs }: Waiting): number {
    return Math.max(0, this.#options.clock.epochMs() - readyAtMs);
  }

  #ended(queueId: string): void {
    const taskId = this.#names.get(queueId);
    if (taskId === undefined) return;
    this.#forget(queueId, taskId);
    this.#completed += 1;
    this.#options.vector.tick();
  }

  #forget(queueId: string, taskId: string): void {
    this.#names.delete(queueId);
    if (this.#assigned.get(taskId)?.queueId === queueId) this.#assigned.delete(taskId);
    if (this.#waiting.get(taskId)?.queueId === queueId) this.#waiting.remove(taskId);
  }

  #ready(lane: string | undefined): void {
    const taskId = lane === undefined ? undefined : assignedIn(lane);
    if (lane !== undefined && taskId === undefined) return;
    const assigned = taskId === undefined ? undefined : this.#assigned.get(taskId);
    if (taskId !== undefined && assigned) {
      this.#assigned.delete(taskId);
      this.#waiting.add({ ...assigned, readyAtMs: this.#options.clock.epochMs() });
    } else if (taskId === undefined || !(this.#arriving.has(taskId) || this.#waiting.get(taskId))) {
      // Somebody else has put it into the queue.
      this.#stale = true;
    }
  }

  /** Reads the queue, if what is known of it may not be all. Those who come meanwhile wait for the same reading. */
  async #read(): Promise<void> {
    while (this.#reading || this.#stale) {
      this.#reading ??= this.#readAll().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  async #readAll(): Promise<void> {
    this.#stale = false;
    try {
      for (const state of ["queued", "running"] as const) await this.#readState(state);
    } catch (error) {
      this.#stale = true;
      throw error;
    }
  }

  async #readState(state: "queued" | "running"): Promise<void> {
    const { queue } = this.#options.queue;
    let cursor: string | undefined;
    do {
      const page = await queue.list({ state, types: ASSIGNED_TYPES, limit: MAX_LIST_LIMIT, cursor });
      for (const summary of page.tasks) {
        const task = waitingTask(summary) ?? (await this.#foreign(summary.id));
        if (task) this.#learn(task, state, summary.workerId);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
  }

  /** A task that was put into the queue past the scheduler. */
  async #foreign(queueId: string): Promise<WaitingTask | undefined> {
    const task = await this.#options.queue.queue.get(queueId);
    const content = task && workflowTask(task);
    return content && waitingFor(content, queueId, task.createdAtMs);
  }

  #learn(task: WaitingTask, state: "queued" | "running", holder = ""): void {
    const { taskId, queueId } = task;
    this.#names.set(queueId, taskId);
    if (this.#assigned.has(taskId) || this.#waiting.get(taskId)) return;
    if (state === "running") this.#assigned.set(taskId, { ...task, holder, token: 0 });
    else this.#waiting.add({ ...task, readyAtMs: task.createdAtMs });
  }
}
