/** Claiming with a wait: leases tasks from the store, and parks where there are none yet. */
import type { Clock } from "../clock.ts";
import { errorFacts, ShuttingDownError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { type CancelScope, currentScope, shield } from "../nursery/index.ts";
import { boundedWait, throwIfAborted } from "./bounded-wait.ts";
import { ParkedClaims } from "./parked-claims.ts";
import {
  type ClaimedTask,
  type ClaimRequest,
  DEFAULT_LEASE_MS,
  MAX_CLAIM_BYTES,
  type ReadyRequest,
} from "./queue.ts";
import { PreferredLanes } from "./preferred-lanes.ts";
import { claimTest, laneChoice, laneOf, laneTest, needsModel, workersOf } from "./routing.ts";
import { affine, Sessions } from "./sessions.ts";
import type { LaneChoice, TaskStore } from "./store.ts";
import type { NewTask, Task } from "./task.ts";

/** How long handing back the tasks of a claim that nobody waits for any more may take; after that their leases run out. */
const HAND_BACK_MS = 5000;

/** How many lanes are watched for the end of a turn; tasks of others are found when claims look anew, in half a minute. */
const MAX_TURNS = 1000;

/** What claims work on. */
export interface ClaimsOptions {
  readonly store: Pick<TaskStore, "claim" | "settle" | "anyReady">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told which tasks were leased, and when their leases end if they are not renewed, in milliseconds since 1970. */
  readonly onLease: (taskIds: readonly string[], untilMs: number) => void;
}

/** All claims of one queue. */
export class Claims {
  /** Those that wait; told of tasks that become ready. */
  readonly parked: ParkedClaims = new ParkedClaims();
  readonly #options: ClaimsOptions;
  readonly #sessions: Sessions;
  readonly #preferred = new PreferredLanes();
  /** Undo of the calls that are to come when the turn of whoever a lane prefers is over. */
  readonly #turns = new Map<string, () => void>();
  #closed = false;

  constructor(options: ClaimsOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options.clock);
  }

  /** The lane that a new task waits in: that of its session's worker first, if there is one. */
  laneFor(task: NewTask): string {
    // Nobody can say who is there when the delay is over.
    return task.delayMs ? laneOf(task) : this.#sessions.laneFor(task);
  }

  /** Notes who has a task, or had it: the next one of its session goes there first. */
  served(task: Task | undefined): void {
    if (task) this.#sessions.served(task);
  }

  /** Tells that exactly `tasks` more tasks are ready in `lane`. */
  announce(lane: string, tasks: number): void {
    this.#whenTurnIsOver(lane);
    this.parked.ready(lane, tasks);
  }

  /** Tells that some tasks are ready in `lane`; nobody counted them. */
  announceSome(lane: string): void {
    this.#whenTurnIsOver(lane);
    this.parked.someReady(lane);
  }

  /** Tells that a task can be claimed again. */
  back(task: Task): void {
    // One of a session waits in its plain lane or in one that prefers somebody; only the store knows.
    if (affine(task) !== undefined) this.parked.manyReady();
    else this.parked.ready(laneOf(task), 1);
  }

  /**
   * Leases tasks for `holder`; see `TaskQueue.claim`. The request is valid.
   *
   * If the caller gives up while the store is leasing, the tasks go back before the error is thrown.
   *
   * @throws ShuttingDownError after {@link close}, CancelledError if the signal aborts
   */
  async claim(
    holder: string,
    request: ClaimRequest,
    signal: AbortSignal | undefined,
  ): Promise<readonly ClaimedTask[]> {
    const scope = currentScope();
    this.#throwIfClosed();
    const { waitMs = 0, limit = 1 } = request;
    if (waitMs === 0) return this.#handOver(holder, await this.#lease(holder, request), scope, signal);
    const untilMs = this.#options.clock.now() + waitMs;
    const spot = this.parked.enter(this.#testFor(request), limit);
    let call = this.parked.answer(spot);
    try {
      for (;;) {
        const claimed = await this.#lease(holder, request);
        if (call)
          this.parked.answered(
            spot,
            call,
            claimed.map(({ task }) => laneOf(task)),
          );
        call = undefined;
        const timeoutMs = untilMs - this.#options.clock.now();
        if (claimed.length > 0 || timeoutMs <= 0) return await this.#handOver(holder, claimed, scope, signal);
        const { clock } = this.#options;
        const called = await boundedWait({ clock, timeoutMs, signal }, (ring) => this.#park(spot, ring));
        this.#throwIfClosed();
        if (!called) return [];
        call = this.parked.answer(spot);
      }
    } finally {
      this.parked.leave(spot);
      // The store failed before the call could be answered.
      if (call) this.parked.pass(call);
    }
  }

  /** Leases what waits in one lane, if anything does; see `LocalTaskQueue.claimLane`. The request is valid. */
  async claimLane(
    holder: string,
    lane: string,
    request: Pick<ClaimRequest, "workerId" | "leaseMs">,
    signal: AbortSignal | undefined,
  ): Promise<readonly ClaimedTask[]> {
    const scope = currentScope();
    this.#throwIfClosed();
    const claimed = await this.#take(holder, { ...request, limit: 1 }, { lanes: [lane], ranges: [] });
    return this.#handOver(holder, claimed, scope, signal);
  }

  /** Waits until a claim could get something; see `TaskQueue.ready`. The request is valid. */
  async ready(request: ReadyRequest, signal: AbortSignal | undefined): Promise<boolean> {
    this.#throwIfClosed();
    const { clock } = this.#options;
    const looker = this.parked.look(this.#testFor(request));
    try {
      if (await this.#anyReady(request)) return true;
      const bounds = { clock, timeoutMs: request.waitMs ?? 0, signal };
      const rung = await boundedWait(bounds, (ring) => {
        if (this.#closed || looker.rung) ring();
        looker.ring = ring;
        return () => undefined;
      });
      this.#throwIfClosed();
      return rung;
    } finally {
      this.parked.lookAway(looker);
    }
  }

  /** Whether {@link close} was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends all waiting claims with a {@link ShuttingDownError}, and every later one. */
  close(): void {
    this.#closed = true;
    for (const undo of this.#turns.values()) undo();
    this.#turns.clear();
    this.parked.wakeAll();
  }

  #testFor(request: Parameters<typeof claimTest>[0]): (lane: string) => boolean {
    return claimTest(request, () => this.#options.clock.epochMs());
  }

  /** @returns which lanes suit, and those among them that prefer somebody */
  #choiceFor(
    request: Parameters<typeof laneChoice>[0],
    over: boolean,
  ): { readonly choice: LaneChoice; readonly preferred: readonly string[] } {
    const nowMs = this.#options.clock.epochMs();
    const choice = laneChoice(request, { nowMs, over });
    if (this.#preferred.isEmpty) return { choice, preferred: [] };
    const preferred = this.#preferred.for(workersOf(request), laneTest(choice), nowMs);
    return { choice: { ...choice, lanes: [...choice.lanes, ...preferred] }, preferred };
  }

  async #anyReady(request: ReadyRequest): Promise<boolean> {
    const { store } = this.#options;
    if (await store.anyReady(this.#choiceFor(request, false).choice)) return true;
    if (!mayBePassedOver(request)) return false;
    const { ranges } = this.#choiceFor(request, true).choice;
    if (!(await store.anyReady({ lanes: [], ranges }))) return false;
    // Or the claim that follows would not find what was found now.
    this.#preferred.lookSoon();
    return true;
  }

  /** Calls others to a lane when those whom it prefers have had their turn. */
  #whenTurnIsOver(lane: string): void {
    const untilMs = this.#preferred.heard(lane)?.untilMs;
    if (untilMs === undefined || this.#closed || this.#turns.has(lane) || this.#turns.size >= MAX_TURNS)
      return;
    const { clock } = this.#options;
    const waitMs = untilMs - clock.epochMs();
    if (waitMs <= 0) return;
    const call = (): void => {
      this.#turns.delete(lane);
      this.parked.someReady(lane);
    };
    this.#turns.set(lane, clock.schedule(call, waitMs + 1));
  }

  #park(spot: Parameters<ParkedClaims["park"]>[0], ring: () => void): () => void {
    if (this.#closed) ring();
    return this.parked.park(spot, ring);
  }

  #throwIfClosed(): void {
    if (!this.#closed) return;
    throw new ShuttingDownError("the queue is shutting down and hands out no more tasks");
  }

  async #lease(holder: string, request: ClaimRequest): Promise<readonly ClaimedTask[]> {
    const over = mayBePassedOver(request) && this.#preferred.mayLook(this.#options.clock.epochMs());
    const { choice, preferred } = this.#choiceFor(request, over);
    const { mark } = this.#preferred;
    const claimed = await this.#take(holder, request, choice);
    if (claimed.length === 0) this.#preferred.empty(preferred, mark);
    if (over && claimed.some(({ task }) => affine(task) !== undefined)) this.#preferred.lookSoon();
    for (const { task } of claimed) this.#sessions.served(task);
    return claimed;
  }

  /** Leases what waits in the lanes of `choice`. */
  async #take(holder: string, request: ClaimRequest, choice: LaneChoice): Promise<readonly ClaimedTask[]> {
    const { store, clock, onLease } = this.#options;
    const { workerId, limit = 1, leaseMs = DEFAULT_LEASE_MS } = request;
    const nowMs = clock.epochMs();
    const leaseUntilMs = Math.ceil(nowMs + leaseMs);
    const bounds = { limit, maxBytes: MAX_CLAIM_BYTES };
    const stored = await store.claim({ workerId, holder, choice, ...bounds, leaseUntilMs }, nowMs);
    const ids = stored.map(({ task }) => task.id);
    if (ids.length > 0) onLease(ids, leaseUntilMs);
    return stored.map(({ task, token }) => ({ task, lease: { taskId: task.id, token }, leaseUntilMs }));
  }

  /** Gives the tasks to the caller, or back to the queue if the caller has gone or the queue is closing. */
  async #handOver(
    holder: string,
    claimed: readonly ClaimedTask[],
    scope: CancelScope,
    signal: AbortSignal | undefined,
  ): Promise<readonly ClaimedTask[]> {
    if (!scope.cancelled && !signal?.aborted && !this.#closed) return claimed;
    if (claimed.length > 0) await this.#handBack(holder, claimed);
    scope.throwIfCancelled();
    throwIfAborted(signal);
    this.#throwIfClosed();
    return [];
  }

  async #handBack(holder: string, claimed: readonly ClaimedTask[]): Promise<void> {
    const { store, clock, logger } = this.#options;
    const reason = "the claim was given up before the tasks were handed over";
    const results = await shield(HAND_BACK_MS, () =>
      Promise.allSettled(
        claimed.map(async (one) => {
          await store.settle({ ...one.lease, holder }, { kind: "released", reason }, clock.epochMs());
          this.back(one.task);
        }),
      ),
    );
    const failed = results.filter((result) => result.status === "rejected");
    const [first] = failed;
    if (!first) return;
    logger.warn(
      { ...errorFacts(first.reason), tasks: failed.length },
      "tasks of a claim that was given up could not be handed back; their leases will run out",
    );
  }
}

/** Whether tasks of sessions may be for whoever makes this claim, and are not in the lanes that it names anyway. */
function mayBePassedOver({ types = [], skills }: ReadyRequest): boolean {
  return skills !== undefined && (types.length === 0 || types.some(needsModel));
}
