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
import { Scaler } from "./scale.ts";
import { type Room, Share, Slots } from "./slots.ts";
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
  /** With how many it begins, to do more only while work waits. Default: as many as `concurrency`, always. */
  readonly minConcurrency?: number | undefined;
  /** How many of a type at once, within `concurrency`, by any of its names. Default: as many as there are slots. */
  readonly concurrencyOf?: ReadonlyMap<string, number> | undefined;
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
  /** How many it does at once now. */
  readonly slots: number;
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
  const { concurrency, minConcurrency = concurrency, concurrencyOf = new Map() } = options;
  if (
    ![concurrency, minConcurrency, ...concurrencyOf.values()].every((n) => Number.isSafeInteger(n) && n >= 1)
  )
    throw new TypeError("a worker runs at least one task at once");
  if (minConcurrency > concurrency)
    throw new TypeError("a worker cannot begin with more slots than it may have");
  return new RunningWorker(options);
}

/** Types of tasks that are claimed together, and the slots for them. */
interface Group {
  readonly types: readonly string[];
  readonly room: Room;
}

/** Types with a limit of their own are claimed by themselves: a claim for several may bring too many of one. */
function groupsOf(
  types: readonly string[],
  limits: ReadonlyMap<string, number>,
  slots: Slots,
): readonly Group[] {
  const limitOf = new Map<string, number>();
  for (const [name, limit] of limits) {
    const type = canonicalType(name);
    limitOf.set(type, Math.min(limit, limitOf.get(type) ?? limit));
  }
  const free = types.filter((type) => !limitOf.has(type));
  const groups: Group[] = free.length > 0 ? [{ types: free, room: slots }] : [];
  for (const type of types) {
    const limit = limitOf.get(type);
    if (limit !== undefined) groups.push({ types: [type], room: new Share(new Slots(limit), slots) });
  }
  return groups;
}

class RunningWorker implements Worker {
  readonly #options: WorkerOptions;
  readonly #random: () => number;
  readonly #handlers: ReadonlyMap<string, Handler>;
  readonly #slots: Slots;
  readonly #groups: readonly Group[];
  readonly #delivery: Delivery;
  /** Of each source one for each group of types. */
  readonly #loops = new Map<string, readonly ClaimLoop[]>();
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
    const { concurrency, minConcurrency = concurrency, concurrencyOf = new Map<string, number>() } = options;
    this.#slots = new Slots(minConcurrency);
    this.#groups = groupsOf([...this.#handlers.keys()], concurrencyOf, this.#slots);
    this.#delivery = new Delivery({ outbox, outboxQueue, clock, logger, random });
    options.nursery.startSoon(() => this.#deliver(), "outbox");
    if (minConcurrency < concurrency) {
      const scaler = new Scaler({ slots: this.#slots, min: minConcurrency, max: concurrency, clock, logger });
      options.nursery.startSoon(() => scaler.run(), "slots");
    }
    for (const source of options.sources) this.addSource(source);
  }

  get running(): number {
    return this.#jobs.size;
  }

  get slots(): number {
    return this.#slots.limit;
  }

  stats(): WorkerStats {
    const loops = [...this.#former, ...[...this.#loops.values()].flat()];
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
      perSource: Object.fromEntries(
        [...this.#loops].map(([name, own]) => [name, sumOf(own.map(({ stats }) => stats))]),
      ),
    };
  }

  addSource(source: QueueSource): void {
    // Naming no types would mean "any".
    if (this.#draining || this.#handlers.size === 0) return;
    this.removeSource(source.name);
    const loops = this.#groups.map((group) => this.#loopOf(source, group));
    this.#loops.set(source.name, loops);
    for (const loop of loops) this.#options.nursery.startSoon(() => loop.run(), `claim from ${source.name}`);
  }

  #isOpen(type: string): boolean {
    return this.#handlers.get(type)?.isOpen?.() !== false;
  }

  removeSource(name: string): void {
    for (const loop of this.#loops.get(name) ?? []) {
      loop.stop();
      this.#former.push(loop);
    }
    this.#loops.delete(name);
  }

  refresh(): void {
    for (const loop of [...this.#loops.values()].flat()) loop.refresh();
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
    for (const loop of [...this.#loops.values()].flat()) loop.stop();
    const finished = await moveOnAfter(drainMs, () => this.#slots.untilIdle());
    if (!finished.ok) {
      for (const job of this.#jobs) job.drain();
      await moveOnAfter(HAND_BACK_MS, () => this.#slots.untilIdle());
    }
    if (this.running > 0)
      this.#options.logger.warn({ tasks: this.running }, "tasks could not be handed back in time");
    this.#deliveryScope?.cancel("the worker is drained");
  }

  /**
   * When the event loop was held up, leases may have run out, and whoever claims next is given their tasks: that must not
   * be ourselves, in the midst of them.
   */
  async #renewOverdue({ queue }: QueueSource): Promise<void> {
    const overdue = [...this.#jobs].filter((job) => job.queue === queue && job.overdueMs !== undefined);
    await Promise.all(overdue.map((job) => job.renew()));
  }

  #loopOf(source: QueueSource, { types, room }: Group): ClaimLoop {
    const { clock, logger, workerId, skills, leaseMs } = this.#options;
    const loop: ClaimLoop = new ClaimLoop({
      source,
      clock,
      logger,
      workerId,
      skills,
      leaseMs,
      random: this.#random,
      slots: room,
      types: () => types.filter((type) => this.#isOpen(type)),
      beforeClaim: () => this.#renewOverdue(source),
      onAnswer: () => this.#delivery.reachable(source.name),
      begin: (claimed) => this.#begin(loop, room, claimed),
    });
    return loop;
  }

  /** Runs a task in a slot that was taken for it. */
  #begin(loop: ClaimLoop, room: Room, claimed: ClaimedTask): void {
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
    nursery.startSoon(() => this.#run(loop, room, job), `task ${claimed.task.id}`);
  }

  async #run(loop: ClaimLoop, room: Room, job: Job): Promise<void> {
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
      room.give(1);
    }
  }

  async #deliver(): Promise<void> {
    await cancelScope(async (scope) => {
      this.#deliveryScope = scope;
      await this.#delivery.run();
    });
  }
}

/** The figures of all claim loops of one source. */
function sumOf(all: readonly SourceStats[]): SourceStats {
  const sum = (count: keyof Omit<SourceStats, "state">): number =>
    all.reduce((total, stats) => total + stats[count], 0);
  return {
    state: all.every(({ state }) => state === "up") ? "up" : "down",
    claimed: sum("claimed"),
    completed: sum("completed"),
    failed: sum("failed"),
    lost: sum("lost"),
    released: sum("released"),
    outboxed: sum("outboxed"),
  };
}
