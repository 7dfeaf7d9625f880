/** A worker: claims from its sources, runs N tasks at once, and delivers their results. */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  cancelScope,
  type CancelScope,
  isCancelled,
  moveOnAfter,
  type Nursery,
  NurseryClosedError,
} from "../nursery/index.ts";
import type { OutboxEntry, OutboxStore } from "../task/outbox.ts";
import type { ClaimedTask, TaskQueue } from "../task/queue.ts";
import { canonicalType } from "../task/routing.ts";
import { Delivery } from "./delivery.ts";
import type { Handler } from "./handlers/handler.ts";
import { Job, type JobEnd } from "./job.ts";
import { Slots } from "./slots.ts";
import { ClaimLoop, type QueueSource, type SourceStats } from "./source.ts";

/** How long tasks that were told to stop may take to hand back their leases. */
const HAND_BACK_MS = 12_000;

/** Options of {@link startWorker}. */
export interface WorkerOptions {
  /** Holds the claim loops, the tasks and the delivery. Cancelling it hands the tasks back. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Recorded as the assignee. */
  readonly workerId: string;
  /** Where to claim from at first. */
  readonly sources: readonly QueueSource[];
  /** What it can do; tasks of other types are not claimed. */
  readonly handlers: readonly Handler[];
  /** What it can do beyond types, such as `tool:fs__read_file`; asked at each claim. */
  readonly skills: () => readonly string[];
  /** How many tasks at once, over all sources. At least 1. */
  readonly concurrency: number;
  /** How long a lease holds; renewed three times within. */
  readonly leaseMs: number;
  readonly outbox: OutboxStore;
  /** The queue that results of this name belong to; may throw while it is not known. */
  readonly outboxQueue: (name: string) => TaskQueue;
  /** Jitter: numbers from 0 (included) to 1 (excluded). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What a worker has done since it was started. */
export interface WorkerStats {
  readonly claimed: number;
  readonly completed: number;
  readonly failed: number;
  /** Leases that were lost while their tasks were in work, or before their results were accepted. */
  readonly lost: number;
  /** Tasks that were handed back. */
  readonly released: number;
  /** Results that had to be put away for later, those of them delivered since (also of earlier processes), and dropped. */
  readonly outboxed: number;
  readonly delivered: number;
  readonly dropped: number;
  readonly perSource: Readonly<Record<string, SourceStats>>;
}

/** A running worker. */
export interface Worker {
  /** How many tasks are in work. */
  readonly running: number;
  stats(): WorkerStats;
  /** Claims from one more queue; one of the same name is replaced. */
  addSource(source: QueueSource): void;
  /** Claims no more from this queue. Its tasks in work go on. */
  removeSource(name: string): void;
  /** Claims anew everywhere: after the skills have changed, or when a queue is known to be back. */
  refresh(): void;
  /** Brings a result that somebody else has worked for to its queue, or puts it into the outbox. */
  deliver(entry: OutboxEntry, queue: TaskQueue): Promise<"accepted" | "lost" | "outboxed">;
  /**
   * Stops claiming, lets tasks finish for `drainMs`, then stops them and hands them back. Results that cannot be
   * delivered at once go to the outbox. Repeating it is harmless; the first `drainMs` counts.
   */
  drain(drainMs: number): Promise<void>;
}

/** Starts a worker in `options.nursery`. Results that an earlier process left in the outbox are delivered first. */
export function startWorker(options: WorkerOptions): Worker {
  if (!Number.isSafeInteger(options.concurrency) || options.concurrency < 1) {
    throw new TypeError("a worker runs at least one task at once");
  }
  return new RunningWorker(options);
}

class RunningWorker implements Worker {
  readonly #options: WorkerOptions;
  readonly #random: () => number;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #slots: Slots;
  readonly #delivery: Delivery;
  readonly #loops = new Map<string, ClaimLoop>();
  /** Loops that were replaced or removed; their tasks still count. */
  readonly #former: ClaimLoop[] = [];
  readonly #jobs = new Set<Job>();
  #deliveryScope: CancelScope | undefined;
  #draining: Promise<void> | undefined;

  constructor(options: WorkerOptions) {
    const { outbox, outboxQueue, clock, logger, random = Math.random } = options;
    this.#options = options;
    this.#random = random;
    this.#handlers = new Map(options.handlers.map((handler) => [handler.type, handler]));
    this.#slots = new Slots(options.concurrency);
    this.#delivery = new Delivery({ outbox, outboxQueue, clock, logger, random });
    options.nursery.startSoon(() => this.#deliver(), "outbox");
    for (const source of options.sources) this.addSource(source);
  }

  get running(): number {
    return this.#jobs.size;
  }

  stats(): WorkerStats {
    const loops = [...this.#former, ...this.#loops.values()];
    const sum = (count: keyof ClaimLoop["counts"]): number =>
      loops.reduce((total, loop) => total + loop.counts[count], 0);
    return {
      claimed: sum("claimed"),
      completed: sum("completed"),
      failed: sum("failed"),
      lost: sum("lost"),
      released: sum("released"),
      outboxed: sum("outboxed"),
      delivered: this.#delivery.delivered,
      dropped: this.#delivery.dropped,
      perSource: Object.fromEntries([...this.#loops].map(([name, loop]) => [name, loop.stats])),
    };
  }

  addSource(source: QueueSource): void {
    // Naming no types would mean "any".
    if (this.#draining || this.#handlers.size === 0) return;
    this.removeSource(source.name);
    const { nursery, clock, logger, workerId, skills, leaseMs } = this.#options;
    const loop = new ClaimLoop({
      source,
      clock,
      logger,
      workerId,
      skills,
      leaseMs,
      random: this.#random,
      slots: this.#slots,
      types: [...this.#handlers.keys()],
      onAnswer: () => this.#delivery.reachable(source.name),
      begin: (claimed) => this.#begin(loop, claimed),
    });
    this.#loops.set(source.name, loop);
    nursery.startSoon(() => loop.run(), `claim from ${source.name}`);
  }

  removeSource(name: string): void {
    const loop = this.#loops.get(name);
    if (!loop) return;
    loop.stop();
    this.#loops.delete(name);
    this.#former.push(loop);
  }

  refresh(): void {
    for (const loop of this.#loops.values()) loop.refresh();
  }

  deliver(entry: OutboxEntry, queue: TaskQueue): Promise<"accepted" | "lost" | "outboxed"> {
    return this.#delivery.deliver(entry, queue, () => this.#draining === undefined);
  }

  drain(drainMs: number): Promise<void> {
    this.#draining ??= this.#drainWithin(drainMs);
    return this.#draining;
  }

  /** Runs by the nursery's clock. A nursery that was cancelled, or has ended, has handed the tasks back already. */
  async #drainWithin(drainMs: number): Promise<void> {
    try {
      await this.#options.nursery.run(() => this.#drain(drainMs), {}, "drain");
    } catch (error) {
      if (!isCancelled(error) && !(error instanceof NurseryClosedError)) throw error;
    }
  }

  async #drain(drainMs: number): Promise<void> {
    for (const loop of this.#loops.values()) loop.stop();
    const finished = await moveOnAfter(drainMs, () => this.#slots.untilIdle());
    if (!finished.ok) {
      for (const job of this.#jobs) job.drain();
      await moveOnAfter(HAND_BACK_MS, () => this.#slots.untilIdle());
    }
    if (this.running > 0)
      this.#options.logger.warn({ tasks: this.running }, "tasks could not be handed back in time");
    this.#deliveryScope?.cancel("the worker is drained");
  }

  /** Runs a task in a slot that was taken for it. */
  #begin(loop: ClaimLoop, claimed: ClaimedTask): void {
    const { nursery, clock, logger, leaseMs } = this.#options;
    const { source } = loop;
    const deliver = (
      entry: Pick<OutboxEntry, "lease" | "outcome">,
    ): Promise<"accepted" | "lost" | "outboxed"> => {
      const whole = { ...entry, queue: source.name, createdAtMs: clock.epochMs() };
      return this.#delivery.deliver(whole, source.queue, () => this.#draining === undefined);
    };
    const handler = this.#handlers.get(canonicalType(claimed.task.type));
    const job = new Job({ claimed, queue: source.queue, handler, leaseMs, clock, logger, deliver });
    this.#jobs.add(job);
    nursery.startSoon(() => this.#run(loop, job), `task ${claimed.task.id}`);
  }

  async #run(loop: ClaimLoop, job: Job): Promise<void> {
    let end: JobEnd = "released";
    try {
      end = await job.run();
    } catch (error) {
      if (isCancelled(error)) throw error;
      // One task must not end the others. Its lease runs out, and it is tried again.
      this.#options.logger.error(errorFacts(error), "a task could not be run to its end");
      end = "lost";
    } finally {
      loop.counts[end]++;
      this.#jobs.delete(job);
      this.#slots.give(1);
    }
  }

  async #deliver(): Promise<void> {
    await cancelScope(async (scope) => {
      this.#deliveryScope = scope;
      await this.#delivery.run();
    });
  }
}
