/**
 * A durable task queue over a store.
 *
 * The store holds the tasks and decides who has them; this file holds the rules that are not about storage: what is
 * allowed in, who waits and who is told, and when time is up. Everybody is told only after the store has the change
 * on disk, so nobody learns of something that a crash could undo.
 */
import type { Clock } from "../clock.ts";
import { parseInput } from "../content/parse.ts";
import { LeaseLostError, ShuttingDownError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { cancelScope, openNursery } from "../nursery/index.ts";
import { retryDelayMs } from "./backoff.ts";
import { throwIfAborted } from "./bounded-wait.ts";
import { Claims } from "./claims.ts";
import { boundedError, boundedNote, checkBody, cutText, draftsOf } from "./drafts.ts";
import { followForeignChanges } from "./foreign.ts";
import { Hearers, type QueueListener } from "./hearers.ts";
import { TaskIds } from "./ids.ts";
import { type HeldClaim, type HeldOutcome, HeldSettlements } from "./held.ts";
import type { LocalQueueOptions, LocalTaskQueue } from "./local-queue.ts";
import { lookAtLease, lookForNews } from "./looks.ts";
import type {
  CallOptions,
  ClaimedTask,
  ClaimRequest,
  Failure,
  Lease,
  SubmitReceipt,
  TaskQueue,
} from "./queue.ts";
import { DEFAULT_LIST_LIMIT } from "./queue.ts";
import {
  claimRequestSchema,
  failureSchema,
  followPointSchema,
  leaseMsSchema,
  leaseSchema,
  readyRequestSchema,
  reasonSchema,
  taskFilterSchema,
  taskIdSchema,
  taskNoteSchema,
  waitMsSchema,
} from "./schemas.ts";
import type { DueOutcome, HeldLease, Settlement, Survey, TaskDraft, TaskStore } from "./store.ts";
import type { JsonObject } from "../content/json.ts";
import type { NewTask } from "./task.ts";
import { DEFAULT_RETENTION_MS, Timekeeper } from "./timekeeper.ts";

export type { LocalQueueOptions, LocalTaskQueue } from "./local-queue.ts";

/** Opens a queue over `store`. It first settles what fell due while no node was there. */
export function openLocalQueue(options: LocalQueueOptions): LocalTaskQueue {
  const core = new QueueCore(options);
  return {
    queue: core.as(options.holder ?? "owner"),
    as: (holder) => core.as(holder),
    completeHeld: (holder, taskId, outcome, callOptions) =>
      core.completeHeld(holder, taskId, outcome, callOptions),
    underHeldLease: (claim, act, callOptions) => core.underHeldLease(claim, act, callOptions),
    claimLane: (holder, lane, request, callOptions) => core.claimLane(holder, lane, request, callOptions),
    leaseOf: (taskId) => options.store.leaseOf(taskId),
    follow: (listener) => core.follow(listener),
    stop: () => core.stop(),
  };
}

class QueueCore {
  readonly #store: TaskStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #random: () => number;
  readonly #ids = new TaskIds();
  readonly #claims: Claims;
  readonly #hearers: Hearers;
  readonly #timekeeper: Timekeeper;
  readonly #held: HeldSettlements;
  readonly #stop = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();

  constructor({
    store,
    nursery,
    clock,
    logger = silentLogger,
    random = Math.random,
    ...rest
  }: LocalQueueOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#random = random;
    this.#claims = new Claims({
      store,
      clock,
      logger,
      onLease: (taskIds, untilMs) => {
        this.#timekeeper.dueAt(untilMs);
        for (const taskId of taskIds) this.#hearers.changed(taskId);
      },
    });
    this.#hearers = new Hearers(this.#claims, (taskId) => store.get(taskId), clock);
    const { retentionMs = DEFAULT_RETENTION_MS } = rest;
    const onDue = (outcome: DueOutcome): void => this.#due(outcome);
    this.#timekeeper = new Timekeeper({ store, clock, logger, retentionMs, onDue });
    this.#held = new HeldSettlements({
      store,
      settle: (holder, lease, outcome) =>
        outcome.kind === "completed"
          ? this.#complete(holder, lease, outcome.result)
          : this.#fail(holder, lease, outcome.failure),
    });
    nursery.startSoon(() => this.#keepTime(), "task queue");
  }

  as(holder: string): TaskQueue {
    return {
      submit: (tasks, options) => begin(options, () => this.#submit(tasks)),
      claim: (request, options) =>
        begin(options, async () => {
          const claim = parseInput(claimRequestSchema, request, "claim");
          return this.#claims.claim(holder, claim, options?.signal);
        }),
      ready: (request, options) =>
        begin(options, async () =>
          this.#claims.ready(parseInput(readyRequestSchema, request, "ready"), options?.signal),
        ),
      renew: (lease, leaseMs, options) => begin(options, () => this.#renew(holder, lease, leaseMs)),
      note: (lease, note, options) =>
        begin(options, async () => {
          const bounded = boundedNote(parseInput(taskNoteSchema, note, "note"));
          const held = heldBy(holder, lease);
          await this.#store.note(held, bounded, this.#clock.epochMs());
          this.#hearers.followed.changed(held.taskId);
        }),
      complete: (lease, result, options) => begin(options, () => this.#complete(holder, lease, result)),
      fail: (lease, failure, options) => begin(options, () => this.#fail(holder, lease, failure)),
      release: (lease, reason, options) => begin(options, () => this.#release(holder, lease, reason)),
      lost: (lease, waitMs, options) => begin(options, () => this.#lost(holder, lease, waitMs, options)),
      cancel: (taskId, reason, options) => begin(options, () => this.#cancel(taskId, reason)),
      get: (taskId, options) =>
        begin(options, async () => {
          const task = await this.#store.get(parseInput(taskIdSchema, taskId, "task id"));
          this.#claims.served(task);
          return task;
        }),
      list: (filter, options) =>
        begin(options, async () => {
          const parsed = parseInput(taskFilterSchema, filter ?? {}, "list");
          return this.#store.list({ ...parsed, limit: parsed.limit ?? DEFAULT_LIST_LIMIT });
        }),
      wait: (taskId, timeoutMs, options) =>
        begin(options, async () => {
          const id = parseInput(taskIdSchema, taskId, "task id");
          const boundMs = parseInput(waitMsSchema, timeoutMs, "wait time");
          const outcome = await this.#hearers.watches.wait(id, boundMs, options?.signal);
          this.#claims.served(outcome.task);
          return outcome;
        }),
      follow: (taskId, point, waitMs, options) =>
        begin(options, async () => {
          const id = parseInput(taskIdSchema, taskId, "task id");
          const from = parseInput(followPointSchema, point, "point to follow from");
          const bounds = {
            timeoutMs: parseInput(waitMsSchema, waitMs, "wait time"),
            signal: options?.signal,
          };
          return this.#hearers.followed.until(id, bounds, () => lookForNews(this.#store, id, from));
        }),
      stats: (options) => begin(options, () => this.#store.stats(this.#clock.epochMs())),
    };
  }

  async completeHeld(
    holder: string,
    taskId: string,
    outcome: HeldOutcome,
    options: CallOptions | undefined,
  ): Promise<void> {
    throwIfAborted(options?.signal);
    await this.#held.settle(holder, parseInput(taskIdSchema, taskId, "task id"), outcome);
  }

  async underHeldLease(
    claim: HeldClaim,
    act: (lease: Lease) => Promise<void>,
    options: CallOptions | undefined,
  ): Promise<void> {
    throwIfAborted(options?.signal);
    const taskId = parseInput(taskIdSchema, claim.taskId, "task id");
    await this.#held.under({ ...claim, taskId }, act);
  }

  async claimLane(
    holder: string,
    lane: string,
    request: Pick<ClaimRequest, "workerId" | "leaseMs">,
    options: CallOptions | undefined,
  ): Promise<ClaimedTask | undefined> {
    throwIfAborted(options?.signal);
    const claim = parseInput(claimRequestSchema, request, "claim");
    return (await this.#claims.claimLane(holder, lane, claim, options?.signal))[0];
  }

  follow(listener: QueueListener): () => void {
    return this.#hearers.add(listener);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#close();
    await this.#stopped.promise;
  }

  async #keepTime(): Promise<void> {
    try {
      await cancelScope(
        () =>
          openNursery((nursery) => {
            nursery.startSoon(() => this.#timekeeper.run(), "timekeeper");
            nursery.startSoon(() => this.#followOthers(), "foreign changes");
          }),
        { signal: this.#stop.signal },
      );
    } finally {
      this.#close();
      this.#stopped.resolve();
    }
  }

  #followOthers(): Promise<never> {
    return followForeignChanges({
      store: this.#store,
      logger: this.#logger,
      watched: () => this.#hearers.taskIds(),
      waiting: () => this.#hearers.isWaitedFor,
      onSurvey: (survey) => this.#catchUp(survey),
    });
  }

  /** Does for the changes of others what the methods above do for our own. */
  #catchUp(survey: Survey): void {
    this.#hearers.caughtUp(survey);
    if (survey.nextDueMs !== undefined) this.#timekeeper.dueAt(survey.nextDueMs);
  }

  #close(): void {
    this.#claims.close();
    this.#hearers.close();
  }

  async #submit(tasks: readonly NewTask[]): Promise<readonly SubmitReceipt[]> {
    if (this.#claims.closed) throw new ShuttingDownError("the queue is shutting down and takes no new tasks");
    const nowMs = this.#clock.epochMs();
    const drafts = draftsOf(tasks, this.#ids, nowMs, (task) => this.#claims.laneFor(task));
    if (drafts.length === 0) return [];
    const receipts = await this.#store.insert(drafts, nowMs);
    this.#announce(drafts.filter((_, i) => receipts[i]?.created));
    return receipts;
  }

  /** Tells claims and the timekeeper about new tasks. */
  #announce(drafts: readonly TaskDraft[]): void {
    const ready = new Map<string, number>();
    for (const { lane, notBeforeMs } of drafts) {
      if (notBeforeMs === undefined) ready.set(lane, (ready.get(lane) ?? 0) + 1);
      else this.#timekeeper.dueAt(notBeforeMs);
    }
    for (const [lane, tasks] of ready) this.#hearers.ready(lane, tasks);
  }

  #due({ readyLanes, deadTaskIds }: DueOutcome): void {
    for (const lane of readyLanes) this.#hearers.ready(lane);
    for (const taskId of deadTaskIds) this.#hearers.ended(taskId);
  }

  async #renew(holder: string, lease: Lease, leaseMs: number): Promise<number> {
    const nowMs = this.#clock.epochMs();
    const untilMs = Math.ceil(nowMs + parseInput(leaseMsSchema, leaseMs, "lease time"));
    await this.#store.renew(heldBy(holder, lease), untilMs, nowMs);
    this.#timekeeper.dueAt(untilMs);
    return untilMs;
  }

  async #complete(holder: string, lease: Lease, result: JsonObject): Promise<void> {
    const held = heldBy(holder, lease);
    checkBody("result", result);
    await this.#store.settle(held, { kind: "completed", result }, this.#clock.epochMs());
    this.#hearers.ended(held.taskId);
  }

  async #fail(holder: string, lease: Lease, raw: Failure): Promise<void> {
    const held = heldBy(holder, lease);
    const failure = parseInput(failureSchema, raw, "failure");
    const error = boundedError(failure);
    // A holder of the lease in force reads its own attempt; any other is refused by the store below.
    const task = await this.#store.get(held.taskId);
    if (!task) throw new LeaseLostError(held.taskId, held.token);
    const { result, retry = false, retryAfterMs } = failure;
    const nowMs = this.#clock.epochMs();
    const attemptsLeft = task.attempt < task.maxAttempts;
    if (!retry || !attemptsLeft) {
      const end: Settlement = { kind: "failed", error, result, deadLetter: retry };
      await this.#store.settle(held, end, nowMs);
      this.#hearers.ended(held.taskId);
      return;
    }
    const notBeforeMs = Math.ceil(nowMs + (retryAfterMs ?? retryDelayMs(task.attempt, this.#random)));
    await this.#store.settle(held, { kind: "retried", error, result, notBeforeMs }, nowMs);
    this.#hearers.changed(held.taskId);
    this.#timekeeper.dueAt(notBeforeMs);
    // With no pause asked for, the store may have made it ready at once.
    if (notBeforeMs <= nowMs) this.#hearers.back(task);
  }

  async #lost(
    holder: string,
    lease: Lease,
    waitMs: number,
    options: CallOptions | undefined,
  ): Promise<boolean> {
    const held = heldBy(holder, lease);
    const bounds = { timeoutMs: parseInput(waitMsSchema, waitMs, "wait time"), signal: options?.signal };
    return this.#hearers.leased.until(held.taskId, bounds, () => lookAtLease(this.#store, held));
  }

  async #release(holder: string, lease: Lease, reason: string): Promise<void> {
    const held = heldBy(holder, lease);
    const why = cutText(parseInput(reasonSchema, reason, "reason"));
    await this.#store.settle(held, { kind: "released", reason: why }, this.#clock.epochMs());
    this.#hearers.changed(held.taskId);
    const task = await this.#store.get(held.taskId);
    if (task) this.#hearers.back(task);
  }

  async #cancel(taskId: string, reason: string): Promise<void> {
    const id = parseInput(taskIdSchema, taskId, "task id");
    await this.#store.cancel(id, cutText(parseInput(reasonSchema, reason, "reason")), this.#clock.epochMs());
    this.#hearers.ended(id);
  }
}

/** Every call starts here: nothing happens for a caller who has given up, and every failure is a rejection. */
async function begin<T>(options: CallOptions | undefined, work: () => Promise<T>): Promise<T> {
  throwIfAborted(options?.signal);
  return work();
}

function heldBy(holder: string, lease: Lease): HeldLease {
  return { ...parseInput(leaseSchema, lease, "lease"), holder };
}
