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
import { laneChoice, laneOf, laneTest } from "./routing.ts";
import type { LaneChoice, TaskStore } from "./store.ts";

/** How long handing back the tasks of a claim that nobody waits for any more may take; after that their leases run out. */
const HAND_BACK_MS = 5000;

/** What claims work on. */
export interface ClaimsOptions {
  readonly store: Pick<TaskStore, "claim" | "settle" | "anyReady">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told when a lease ends if it is not renewed, in milliseconds since 1970. */
  readonly onLease: (untilMs: number) => void;
}

/** All claims of one queue. */
export class Claims {
  /** Those that wait; told of tasks that become ready. */
  readonly parked: ParkedClaims = new ParkedClaims();
  readonly #options: ClaimsOptions;
  #closed = false;

  constructor(options: ClaimsOptions) {
    this.#options = options;
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
    const choice = laneChoice(request);
    const { waitMs = 0, limit = 1 } = request;
    if (waitMs === 0)
      return this.#handOver(holder, await this.#lease(holder, request, choice), scope, signal);
    const untilMs = this.#options.clock.now() + waitMs;
    const spot = this.parked.enter(laneTest(choice), limit);
    let call = this.parked.answer(spot);
    try {
      for (;;) {
        const claimed = await this.#lease(holder, request, choice);
        if (call) this.parked.answered(spot, call, claimed.map(laneOfClaimed));
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
    const claimed = await this.#lease(holder, { ...request, limit: 1 }, { lanes: [lane], ranges: [] });
    return this.#handOver(holder, claimed, scope, signal);
  }

  /** Waits until a claim could get something; see `TaskQueue.ready`. The request is valid. */
  async ready(request: ReadyRequest, signal: AbortSignal | undefined): Promise<boolean> {
    this.#throwIfClosed();
    const { store, clock } = this.#options;
    const choice = laneChoice(request);
    const looker = this.parked.look(laneTest(choice));
    try {
      if (await store.anyReady(choice)) return true;
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
    this.parked.wakeAll();
  }

  #park(spot: Parameters<ParkedClaims["park"]>[0], ring: () => void): () => void {
    if (this.#closed) ring();
    return this.parked.park(spot, ring);
  }

  #throwIfClosed(): void {
    if (!this.#closed) return;
    throw new ShuttingDownError("the queue is shutting down and hands out no more tasks");
  }

  async #lease(holder: string, request: ClaimRequest, choice: LaneChoice): Promise<readonly ClaimedTask[]> {
    const { store, clock, onLease } = this.#options;
    const { workerId, limit = 1, leaseMs = DEFAULT_LEASE_MS } = request;
    const nowMs = clock.epochMs();
    const leaseUntilMs = Math.ceil(nowMs + leaseMs);
    const bounds = { limit, maxBytes: MAX_CLAIM_BYTES };
    const stored = await store.claim({ workerId, holder, choice, ...bounds, leaseUntilMs }, nowMs);
    if (stored.length > 0) onLease(leaseUntilMs);
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
          this.parked.ready(laneOfClaimed(one), 1);
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

function laneOfClaimed({ task }: ClaimedTask): string {
  return laneOf(task.type, task.payload);
}
