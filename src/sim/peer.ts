/** A virtual peer: the scheduler, queue and outbox of a node, over stores that outlive its process. */
import * as z from "zod";
import { callerName } from "../authority/caller.ts";
import { type JsonObject, jsonObject } from "../content/json.ts";
import { silentLogger } from "../logger.ts";
import { type Nursery, type NurseryHost, openHost, rethrowIfCancelled, sleep } from "../nursery/index.ts";
import type { Method, RpcClient, ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import { openMemoryStores } from "../store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../task/local.ts";
import { serveTaskMethods } from "../task/methods.ts";
import type { OutboxStore } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import { remoteQueue } from "../task/remote.ts";
import type { TaskStore } from "../task/store.ts";
import { Delivery } from "../worker/index.ts";
import { VectorClock } from "../workflow/clock.ts";
import {
  type FarHome,
  type GivenTask,
  gossipOf,
  Home,
  Membership,
  type PolicyName,
  remoteHome,
  Scheduler,
  serveWorkflowMethods,
  takeGossip,
  type WorkflowTask,
} from "../workflow/scheduler/index.ts";
import { untilDead } from "./interpose.ts";
import type { Referee } from "./referee.ts";
import type { Attachment, Network } from "./network.ts";
import type { Random } from "./random.ts";
import { PeerClock, type Timeline } from "./time.ts";

/** How often peers tell each other that they are there, in milliseconds. */
export const HEARTBEAT_MS = 1000;
/** A peer that was not heard of for so long is gone. */
const LIVE_TIMEOUT_MS = 3 * HEARTBEAT_MS;
/** How long a lease is, in milliseconds. */
export const LEASE_MS = 5000;
/** A host that was given nothing asks again after this time, give or take a half. */
const IDLE_MS = 500;
/** How long a task takes: most are short, some outlast a lease. */
const WORK_MS = [20, 300] as const;
const LONG_WORK_MS = [4000, 9000] as const;
const LONG_SHARE = 0.05;

const said = z.object({ said: jsonObject });
const heartbeat: Method<z.infer<typeof said>, z.infer<typeof said>> = {
  name: "heartbeat",
  grant: "status",
  input: said,
  output: said,
  idempotent: true,
};

/** What all peers of a simulation have in common. */
export interface World {
  readonly timeline: Timeline;
  readonly network: Network;
  readonly referee: Referee;
  readonly policy: PolicyName;
  /** All peer ids. */
  readonly peerIds: readonly string[];
  readonly note: (line: string) => void;
  /** Changes a store before it is used, to see whether the judge finds out. */
  readonly breakStore: (store: TaskStore) => TaskStore;
}

/** The process of a peer. */
interface Process {
  readonly clock: PeerClock;
  readonly nursery: Nursery;
  readonly home: Home;
  readonly scheduler: Scheduler;
  readonly membership: Membership;
}

/** What a scheduler is made from. */
interface Parts {
  readonly clock: PeerClock;
  readonly nursery: Nursery;
  readonly queue: LocalTaskQueue;
  readonly queueAt: (peerId: string) => TaskQueue;
  readonly rpc: RpcClient;
  readonly delivery: Delivery;
  readonly membership: Membership;
}

/** A machine in the simulation. */
export class VirtualPeer {
  readonly peerId: string;
  readonly tasks: TaskStore;
  readonly #outbox: OutboxStore;
  readonly #world: World;
  readonly #random: Random;
  readonly #wall: { skewMs: number };
  #process: Process | undefined;

  constructor(peerId: string, world: World, random: Random, skewMs: number) {
    const stores = openMemoryStores();
    this.peerId = peerId;
    this.#world = world;
    this.#random = random;
    this.#wall = { skewMs };
    this.#outbox = stores.outbox;
    this.tasks = world.referee.watching(world.breakStore(stores.tasks), peerId, () => this.#process?.home);
    this.start();
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get membership(): Membership | undefined {
    return this.#process?.membership;
  }

  /** Starts the node's process. */
  start(): void {
    if (this.#process) return;
    const { timeline, network } = this.#world;
    const clock = new PeerClock(timeline, this.#wall);
    const host = openHost({ clock, name: this.peerId });
    const methods = new Map<string, ServedMethod>();
    const attachment: Attachment = { peerId: this.peerId, clock, nursery: host.nursery, methods };
    network.attach(attachment);
    const process = this.#open(clock, host, network.clientOf(attachment), methods);
    this.#process = process;
  }

  /** Ends the process as `kill -9` does. */
  crash(): void {
    this.#process?.clock.kill();
    this.#process = undefined;
  }

  pause(): void {
    this.#process?.clock.pause();
  }

  resume(): void {
    this.#process?.clock.resume();
  }

  /** Sets the wall clock. */
  jump(byMs: number): void {
    this.#wall.skewMs += byMs;
  }

  /** Submits a task here, as a host of this node would. Does nothing while the process is down. */
  submit(task: WorkflowTask, onAck: () => void): void {
    const process = this.#process;
    process?.clock.whenRunning(() => {
      process.nursery.startSoon(async () => {
        await process.scheduler.submit(task);
        onAck();
      }, "submit");
    });
  }

  #open(clock: PeerClock, host: NurseryHost, rpc: RpcClient, methods: Map<string, ServedMethod>): Process {
    const { nursery } = host;
    const selfId = this.peerId;
    const random = this.#random.branch().next;
    const store = untilDead(this.tasks, () => clock.isDead);
    const queue = openLocalQueue({ store, nursery, clock, random, holder: selfId });
    const queueAt = (peerId: string): TaskQueue =>
      peerId === selfId ? queue.as(selfId) : remoteQueue(rpc, { peerId }, clock);
    const outbox = untilDead(this.#outbox, () => clock.isDead);
    const delivery = new Delivery({ outbox, outboxQueue: queueAt, clock, logger: silentLogger, random });
    nursery.startSoon(() => delivery.run(), "outbox");
    const membership = new Membership({ clock, selfId, timeoutMs: LIVE_TIMEOUT_MS });
    const { home, scheduler } = this.#schedule({ clock, nursery, queue, queueAt, rpc, delivery, membership });
    for (const method of servedBy(queue, home, scheduler)) methods.set(method.name, method);
    for (const peerId of this.#world.peerIds)
      if (peerId !== selfId) nursery.startSoon(() => this.#beat(scheduler, rpc, peerId), "heartbeat");
    nursery.startSoon(() => this.#work(scheduler), "host");
    return { clock, nursery, home, scheduler, membership };
  }

  #schedule({
    clock,
    nursery,
    queue,
    queueAt,
    rpc,
    delivery,
    membership,
  }: Parts): Pick<Process, "home" | "scheduler"> {
    const { policy } = this.#world;
    const selfId = this.peerId;
    const vector = new VectorClock(selfId);
    const home = new Home({ queue, membership, policy, clock, vector });
    const farHome = (peerId: string): FarHome => {
      const there = queueAt(peerId);
      return { peerId, queue: there, home: remoteHome(rpc, { peerId }, there) };
    };
    const scheduler = new Scheduler({
      clock,
      nursery,
      selfId,
      home,
      membership,
      vector,
      policy,
      logger: silentLogger,
      leaseMs: LEASE_MS,
      queue: queue.as(selfId),
      homes: () =>
        membership
          .live()
          .filter((peerId) => peerId !== selfId)
          .map(farHome),
      deliver: (entry, target) => delivery.deliver(entry, target, () => true),
    });
    return { home, scheduler };
  }

  /** Sends heartbeats to one peer. */
  async #beat(scheduler: Scheduler, rpc: RpcClient, peerId: string): Promise<never> {
    await sleep(this.#random.whole(0, HEARTBEAT_MS));
    for (;;) {
      try {
        const answer = await rpc.call(
          { peerId },
          heartbeat,
          { said: gossipOf(scheduler) },
          { timeoutMs: HEARTBEAT_MS },
        );
        takeGossip(scheduler, peerId, answer.said, silentLogger);
      } catch (error) {
        rethrowIfCancelled(error);
      }
      await sleep(HEARTBEAT_MS);
    }
  }

  /** The host of this node: takes tasks, does them, says so. */
  async #work(scheduler: Scheduler): Promise<never> {
    for (;;) {
      const given = await scheduler.next();
      if (given) await this.#do(scheduler, given);
      else await sleep(this.#random.whole(IDLE_MS / 2, (IDLE_MS * 3) / 2));
    }
  }

  async #do(scheduler: Scheduler, { task, lease, home, owner }: GivenTask): Promise<void> {
    const { note } = this.#world;
    note(`${this.peerId} works on ${task.taskId} of ${home}, owner ${owner}`);
    await sleep(this.#random.within(this.#random.chance(LONG_SHARE) ? LONG_WORK_MS : WORK_MS));
    const result: JsonObject = { peer: this.peerId, token: lease.token };
    const { success, delivered, reason } = await scheduler.complete(task.taskId, result, { from: home });
    if (success && delivered) return;
    note(`${this.peerId} ${task.taskId}: ${success ? "the result waits for its home" : (reason ?? "")}`);
  }
}

/** What a node does for others. */
function servedBy(queue: LocalTaskQueue, home: Home, scheduler: Scheduler): readonly ServedMethod[] {
  return [
    ...serveTaskMethods(queue),
    ...serveWorkflowMethods(home, (holder) => queue.as(holder)),
    serve(heartbeat, async (heard, { caller }) => {
      takeGossip(scheduler, callerName(caller), heard.said, silentLogger);
      return { said: gossipOf(scheduler) };
    }),
  ];
}
