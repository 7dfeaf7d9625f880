/** Schedulers of several nodes in one process, on one virtual clock, over a network that delays, loses and splits. */
import { hasCode, ConnectionLostError, UnreachableError } from "../../../src/errors.ts";
import { silentLogger } from "../../../src/logger.ts";
import { openHost, sleep } from "../../../src/nursery/index.ts";
import { openMemoryStores, type Stores } from "../../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../../src/task/local.ts";
import type { OutboxEntry } from "../../../src/task/outbox.ts";
import type { TaskQueue } from "../../../src/task/queue.ts";
import {
  type Delivery,
  type FarHome,
  gossipOf,
  type Home,
  type Scheduler,
  takeGossip,
} from "../../../src/workflow/scheduler/index.ts";
import type { TestClock } from "../../support/clock.ts";
import type { Random } from "../../support/random.ts";
import { openTestScheduler } from "../../support/scheduler.ts";

export const LEASE_MS = 3000;
const GOSSIP_MS = 1000;
const RETRY_MS = 1000;
const MAX_DELAY_MS = 40;

/** A node that can be stopped at any moment and started again with what it had on disk. */
export class FleetNode {
  readonly peerId: string;
  readonly stores: Stores = openMemoryStores();
  readonly accepted: string[] = [];
  readonly #fleet: Fleet;
  #host: ReturnType<typeof openHost> | undefined;
  #queue: LocalTaskQueue | undefined;
  #scheduler: (Scheduler & { readonly home: Home }) | undefined;
  /** Survives the process, as the outbox does. */
  readonly #outbox: OutboxEntry[] = [];

  constructor(peerId: string, fleet: Fleet) {
    this.peerId = peerId;
    this.#fleet = fleet;
  }

  get isUp(): boolean {
    return this.#host !== undefined;
  }

  get scheduler(): Scheduler & { readonly home: Home } {
    if (!this.#scheduler) throw new UnreachableError(`${this.peerId} is down`);
    return this.#scheduler;
  }

  get queue(): LocalTaskQueue {
    if (!this.#queue) throw new UnreachableError(`${this.peerId} is down`);
    return this.#queue;
  }

  start(): void {
    const { clock } = this.#fleet;
    const host = openHost({ clock });
    const { nursery } = host;
    this.#host = host;
    this.#queue = openLocalQueue({ store: this.stores.tasks, nursery, clock, random: () => 0 });
    this.#scheduler = openTestScheduler({
      clock,
      nursery,
      queue: this.#queue,
      selfId: this.peerId,
      leaseMs: LEASE_MS,
      homes: () => this.#homes(),
      deliver: (entry, queue) => this.#deliver(entry, queue),
    });
    nursery.startSoon(() => this.#gossip(), "gossip");
    nursery.startSoon(() => this.#redeliver(), "outbox");
  }

  /** Ends at once; its disk is as it was. */
  async crash(): Promise<void> {
    const host = this.#host;
    this.#host = this.#queue = this.#scheduler = undefined;
    await host?.close();
  }

  /** Its host works: takes a task, is busy for a while, and completes it. */
  work(random: Random): void {
    const { scheduler } = this;
    this.#host?.nursery.startSoon(async () => {
      for (;;) {
        const given = await scheduler.next();
        await sleep(given ? 5 + random.below(200) : 500);
        if (!given) continue;
        // One host in ten forgets what it took.
        if (random.below(10) === 0) continue;
        const { success } = await scheduler.complete(
          given.task.taskId,
          { by: this.peerId },
          { from: given.home },
        );
        if (success) this.accepted.push(given.task.taskId);
      }
    }, "host");
  }

  #homes(): readonly FarHome[] {
    return this.#fleet.nodes
      .filter((node) => node !== this && node.isUp && this.#scheduler?.membership.isLive(node.peerId))
      .map((node) => this.#farHome(node));
  }

  #farHome(node: FleetNode): FarHome {
    const over = <T>(ask: () => Promise<T>): Promise<T> => this.#fleet.carry(this, node, ask);
    const home = () => node.scheduler.home.as(this.peerId);
    const near = (): TaskQueue => node.queue.as(this.peerId);
    return {
      peerId: node.peerId,
      home: {
        offer: () => over(() => home().offer()),
        claim: (leaseMs) => over(() => home().claim(leaseMs)),
        held: (taskId) => over(() => home().held(taskId)),
      },
      queue: {
        ...near(),
        renew: (lease, leaseMs) => over(() => near().renew(lease, leaseMs)),
        complete: (lease, result) => over(() => near().complete(lease, result)),
      },
    };
  }

  async #deliver(entry: OutboxEntry, queue: TaskQueue): Promise<Delivery> {
    const { lease, outcome } = entry;
    try {
      if (outcome.kind === "completed") await queue.complete(lease, outcome.result);
      return "accepted";
    } catch (error) {
      if (hasCode(error, "E_LEASE_LOST") || hasCode(error, "E_TASK_FINISHED")) return "lost";
      if (!(error instanceof UnreachableError || error instanceof ConnectionLostError)) throw error;
      this.#outbox.push(entry);
      return "outboxed";
    }
  }

  async #redeliver(): Promise<never> {
    for (;;) {
      await sleep(RETRY_MS);
      for (const entry of this.#outbox.splice(0)) {
        const home = this.#fleet.nodes.find(({ peerId }) => peerId === entry.queue);
        if (home?.isUp) await this.#deliver(entry, this.#farHome(home).queue);
        else this.#outbox.push(entry);
      }
    }
  }

  async #gossip(): Promise<never> {
    const { scheduler } = this;
    for (;;) {
      for (const other of this.#fleet.nodes) {
        if (other === this || !other.isUp || this.#fleet.isCut(this, other)) continue;
        takeGossip(other.scheduler, this.peerId, gossipOf(scheduler), silentLogger);
        takeGossip(scheduler, other.peerId, gossipOf(other.scheduler), silentLogger);
      }
      await sleep(GOSSIP_MS);
    }
  }
}

/** The nodes and the network between them. */
export class Fleet {
  readonly clock: TestClock;
  readonly nodes: FleetNode[] = [];
  readonly #random: Random;
  /** One answer in so many is lost after the call was carried out; 0: none is. */
  losesOneIn = 0;
  /** Which side of a split a node is on; all on one if there is none. */
  readonly #sides = new Map<string, number>();

  constructor(clock: TestClock, random: Random) {
    this.clock = clock;
    this.#random = random;
  }

  join(peerId: string): FleetNode {
    const node = new FleetNode(peerId, this);
    this.nodes.push(node);
    node.start();
    return node;
  }

  isCut(a: FleetNode, b: FleetNode): boolean {
    return (this.#sides.get(a.peerId) ?? 0) !== (this.#sides.get(b.peerId) ?? 0);
  }

  /** Splits the network in two at random. */
  split(): void {
    for (const { peerId } of this.nodes) this.#sides.set(peerId, this.#random.below(2));
  }

  heal(): void {
    this.#sides.clear();
  }

  /** Brings a call to a node and its answer back, both with a delay, unless one of them is lost. */
  async carry<T>(from: FleetNode, to: FleetNode, ask: () => Promise<T>): Promise<T> {
    await sleep(this.#random.below(MAX_DELAY_MS));
    if (!to.isUp || this.isCut(from, to)) throw new UnreachableError(`${to.peerId} is not reached`);
    const answer = await ask();
    await sleep(this.#random.below(MAX_DELAY_MS));
    const isLost =
      !to.isUp || this.isCut(from, to) || (this.losesOneIn > 0 && this.#random.below(this.losesOneIn) === 0);
    if (isLost) throw new ConnectionLostError(`the answer of ${to.peerId} is lost`);
    return answer;
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.crash()));
  }
}
