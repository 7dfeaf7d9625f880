/**
 * The workflow scheduler of a node: its own tasks, those of its peers, and what its host is working on.
 *
 * A task lives at the node on which it was submitted, its home, and nowhere else. Whoever asks for work is offered what its
 * own node and those that trust it have for it, takes the best of that under a lease, and the home accepts one result.
 */
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { errorFacts } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { moveOnAfter, type Nursery, openNursery, rethrowIfCancelled } from "../../nursery/index.ts";
import type { OutboxEntry } from "../../task/outbox.ts";
import type { CallOptions, TaskQueue } from "../../task/queue.ts";
import { admitClock } from "../clock-guard.ts";
import { parseClock, type VectorClock } from "../clock.ts";
import { HeldTasks, type HeldTask } from "./held.ts";
import type { AssignedTask, Home, Offer, WorkflowHome } from "./home.ts";
import type { Membership } from "./membership.ts";
import { OFFER_TIMEOUT_MS } from "./methods.ts";
import type { PolicyName } from "./policy.ts";
import type { WorkflowTask } from "./task.ts";

/** How many other homes are asked in one go; the next call goes on with others. */
export const MAX_HOMES_ASKED = 32;
/** How much longer slower homes are waited for once there is an offer. */
const GRACE_MS = 150;
/** A home that does not let this node work for it is asked again after this time. */
const REFUSED_MS = 60_000;
/** One that did not answer is left alone for this time, so that it does not hold up each call. */
const SILENT_MS = 2000;

/** Another node whose tasks this node may be given. */
export interface FarHome {
  readonly peerId: string;
  readonly home: WorkflowHome;
  /** Its queue, for what is done under a lease. */
  readonly queue: TaskQueue;
}

/** What became of a result: accepted; kept until its home is back; refused because the task is not in these hands. */
export type Delivery = "accepted" | "outboxed" | "lost";

/** What a scheduler is made of. */
export interface SchedulerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Keeps leases up. */
  readonly nursery: Nursery;
  readonly selfId: string;
  readonly home: Home;
  readonly membership: Membership;
  readonly vector: VectorClock;
  readonly policy: PolicyName;
  /** The node's own queue in the hands of `selfId`. */
  readonly queue: TaskQueue;
  /** The nodes that may be asked, those first that are most likely to answer. */
  readonly homes: () => readonly FarHome[];
  /** Brings a result to its home, or puts it away until that is back. */
  readonly deliver: (entry: OutboxEntry, queue: TaskQueue) => Promise<Delivery>;
  readonly leaseMs: number;
}

/** A task for the host of this node. */
export interface GivenTask extends AssignedTask {
  readonly home: string;
}

/** What happened to a completion. */
export interface Completion {
  readonly success: boolean;
  /** False: it waits here until the task's home is back. */
  readonly delivered: boolean;
  /** Why it did not succeed. */
  readonly reason?: string | undefined;
}

interface Choice {
  readonly offer: Offer;
  readonly far: FarHome;
}

/** The scheduler of a node. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #held: HeldTasks;
  readonly #own: FarHome;
  /** Until when homes are left alone, by the monotonic clock. */
  readonly #shunned = new Map<string, number>();
  #turn = 0;

  constructor(options: SchedulerOptions) {
    const { selfId, home, queue, clock, leaseMs, logger, nursery } = options;
    this.#options = options;
    this.#held = new HeldTasks({ clock, leaseMs, logger });
    this.#own = { peerId: selfId, home: home.as(selfId), queue };
    nursery.startSoon(() => this.#held.keepUp(), "leases of workflow tasks");
  }

  /** Submits a task here. @returns false if one of this id has not ended */
  submit(task: WorkflowTask): Promise<boolean> {
    return this.#options.home.submit(task);
  }

  /** The next task for this node's host; undefined if nobody has any for it now. */
  async next(options?: CallOptions): Promise<GivenTask | undefined> {
    if (this.#held.isFull) return undefined;
    this.#options.membership.asked(this.#options.selfId);
    for (const { far } of await this.#offers(options)) {
      const given = await this.#claim(far, options);
      if (given) return given;
    }
    return undefined;
  }

  /**
   * Ends a task with its result. It must be in this node's hands, or live here and be in anybody's.
   *
   * @param from - whose task it is, if several nodes have one of this id
   * @param asHome - whether the caller may speak for the tasks that live here, whoever holds them
   */
  async complete(
    taskId: string,
    result: JsonObject,
    {
      from,
      asHome = false,
      signal,
    }: CallOptions & { readonly from?: string | undefined; readonly asHome?: boolean } = {},
  ): Promise<Completion> {
    const held = this.#held.find(taskId, from) ?? (await this.#lookUp(taskId, from, asHome, { signal }));
    if (!held)
      return { success: false, delivered: false, reason: "this node was not given a task of this id" };
    const { lease, home, queue } = held;
    const createdAtMs = this.#options.clock.epochMs();
    const outcome = { kind: "completed", result } as const;
    const delivery = await this.#options.deliver({ queue: home, lease, outcome, createdAtMs }, queue);
    this.#held.remove(held);
    if (delivery === "lost")
      return {
        success: false,
        delivered: false,
        reason: "the task was given to somebody else, or has ended",
      };
    return { success: true, delivered: delivery === "accepted" };
  }

  /** Tells about a peer. @throws nothing; @returns why its clock was not merged; undefined if it was */
  heard(peerId: string, clock: unknown): string | undefined {
    const { membership, vector, policy } = this.#options;
    const admitted = admitClock(clock, peerId);
    if (!admitted.ok) return admitted.why;
    membership.heard(peerId);
    const theirs = policy === "legacy" ? parseClock(clock) : undefined;
    // The old system counts each merge as an event of its own, so its clocks never become equal.
    if (theirs) vector.merge(theirs);
    else vector.advance(peerId, admitted.count);
    return undefined;
  }

  /** The counts of this node's own tasks, and whom it knows. */
  async status(): Promise<{
    readonly pending: number;
    readonly assigned: number;
    readonly completed: number;
    readonly held: number;
    readonly knownPeers: number;
    readonly livePeers: number;
  }> {
    const { membership, home } = this.#options;
    return {
      ...(await home.counts()),
      held: this.#held.size,
      knownPeers: membership.inOrder().length - 1,
      livePeers: membership.live().length - 1,
    };
  }

  get vector(): VectorClock {
    return this.#options.vector;
  }

  get membership(): Membership {
    return this.#options.membership;
  }

  get policy(): PolicyName {
    return this.#options.policy;
  }

  /** What all homes offer, best first: higher priority, then who waits longest. */
  async #offers(options: CallOptions | undefined): Promise<readonly Choice[]> {
    const choices: Choice[] = [];
    await moveOnAfter(OFFER_TIMEOUT_MS, async (scope) => {
      const ask = async (far: FarHome): Promise<void> => {
        const offer = await this.#tolerant(far, () => far.home.offer(options));
        if (!offer) return;
        choices.push({ far, offer });
        scope.deadline = Math.min(scope.deadline, this.#options.clock.now() + GRACE_MS);
      };
      await openNursery(async (nursery) => {
        for (const far of this.#asked()) nursery.startSoon(() => ask(far), "offer");
        await ask(this.#own);
      });
    });
    return choices.toSorted(
      (a, b) => b.offer.priority - a.offer.priority || b.offer.waitedMs - a.offer.waitedMs,
    );
  }

  /** Some of the homes, in turn. */
  #asked(): readonly FarHome[] {
    const now = this.#options.clock.now();
    for (const [peerId, untilMs] of this.#shunned) if (untilMs <= now) this.#shunned.delete(peerId);
    const homes = this.#options.homes().filter(({ peerId }) => !this.#shunned.has(peerId));
    if (homes.length <= MAX_HOMES_ASKED) return homes;
    const start = (this.#turn++ * MAX_HOMES_ASKED) % homes.length;
    return [...homes.slice(start), ...homes.slice(0, start)].slice(0, MAX_HOMES_ASKED);
  }

  async #claim(far: FarHome, options: CallOptions | undefined): Promise<GivenTask | undefined> {
    const { leaseMs, clock } = this.#options;
    const claimed = await this.#tolerant(far, () => far.home.claim(leaseMs, options));
    if (!claimed) return undefined;
    const { task, lease } = claimed;
    this.#held.add({ task, lease, home: far.peerId, queue: far.queue, sinceMs: clock.now() });
    return { ...claimed, home: far.peerId };
  }

  /** A task that this process does not know of: it was given to this node before it started anew, or lives here. */
  async #lookUp(
    taskId: string,
    from: string | undefined,
    asHome: boolean,
    options: CallOptions,
  ): Promise<HeldTask | undefined> {
    const { home, selfId } = this.#options;
    const own = from === undefined || from === selfId ? await home.leaseOf(taskId) : undefined;
    const facts = { task: { taskId, workflowId: "", name: "", tags: [], priority: 0 }, sinceMs: 0 };
    if (own && (asHome || own.holder === selfId)) {
      const lease = { taskId: own.taskId, token: own.token };
      return { ...facts, lease, home: selfId, queue: home.queueOf(own.holder) };
    }
    for (const far of this.#options.homes()) {
      if (from !== undefined && far.peerId !== from) continue;
      const lease = await this.#tolerant(far, () => far.home.held(taskId, options));
      if (lease) return { ...facts, lease, home: far.peerId, queue: far.queue };
    }
    return undefined;
  }

  /** What a home answers; undefined if it does not, which must not keep others from being asked. */
  async #tolerant<T>(far: FarHome, ask: () => Promise<T>): Promise<T | undefined> {
    if (far === this.#own) return ask();
    try {
      return await ask();
    } catch (error) {
      rethrowIfCancelled(error);
      const facts = errorFacts(error);
      const refused = facts.failureClass === "denied" || facts.code === "E_METHOD_NOT_FOUND";
      this.#shunned.set(far.peerId, this.#options.clock.now() + (refused ? REFUSED_MS : SILENT_MS));
      this.#options.logger.debug(
        { peer: far.peerId, ...facts },
        "a node was asked for workflow tasks in vain",
      );
      return undefined;
    }
  }
}
