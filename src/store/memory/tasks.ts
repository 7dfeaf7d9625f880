/**
 * A {@link TaskStore} in maps and heaps, for tests and for nodes that keep nothing.
 *
 * All of a change happens before the first `await`, which is what makes it atomic. Keep it that way.
 */
import {
  IdempotencyConflictError,
  InvalidInputError,
  LeaseLostError,
  TaskFinishedError,
  TaskNotFoundError,
} from "../../errors.ts";
import { mergedProgress } from "../../task/drafts.ts";
import type { QueueStats, SubmitReceipt, TaskFilter, TaskNote, TaskPage } from "../../task/queue.ts";
import type {
  DueOutcome,
  HeldLease,
  LaneChoice,
  Settlement,
  StoreClaim,
  StoredClaim,
  StoredNews,
  Survey,
  TaskDraft,
  TaskStore,
} from "../../task/store.ts";
import { MAX_LOG_LINES, type Task } from "../../task/task.ts";
import { cursorAfter, seqOfCursor } from "../cursor.ts";
import { cancellationEffect, type Effect, expiryEffect, isRepetition, settlementEffect } from "../effect.ts";
import { PHASE, type Phase, phasesOf, stateOf } from "../phase.ts";
import { queueStats } from "../queue-stats.ts";
import { type Lifetime, MAX_DUE_BATCH, MAX_SCANNED_LANES } from "../stores.ts";
import { summaryOf } from "../task-view.ts";
import { ReadyTasks } from "./ready.ts";
import { parseObject, recordOf, remember, taskOfRecord, type TaskRecord } from "./record.ts";
import { Timeline } from "./timeline.ts";

/** The queue of a node that keeps nothing. */
export class MemoryTaskStore implements TaskStore {
  readonly #lifetime: Lifetime;
  /** By id; the order of insertion is the order of submission. */
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #byKey = new Map<string, TaskRecord>();
  readonly #ready = new ReadyTasks();
  /** What time will change: delayed tasks and leases. Only those have a `dueMs`. */
  readonly #due = new Timeline((record) => record.dueMs);
  /** Since when the ready ones have waited. */
  readonly #waiting = new Timeline((record) => (record.phase === PHASE.ready ? record.readyMs : undefined));
  readonly #counts = new Map<Phase, number>();
  #seq = 0;
  /** What claims settled on their way, until {@link MemoryTaskStore.settleDue} can report it. */
  readonly #readyLanes = new Set<string>();
  #deadTaskIds: string[] = [];

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime;
  }

  async insert(drafts: readonly TaskDraft[], nowMs: number): Promise<readonly SubmitReceipt[]> {
    this.#lifetime.check();
    const fresh = new Map<string, TaskDraft>();
    const ids = new Set<string>();
    const receipts = drafts.map((draft): SubmitReceipt => {
      const key = draft.idempotencyKey;
      const known = key === undefined ? undefined : (this.#byKey.get(key) ?? fresh.get(key));
      if (key !== undefined && known) {
        if (known.digest !== draft.digest) throw new IdempotencyConflictError(key, known.id);
        return { taskId: known.id, created: false };
      }
      if (ids.has(draft.id) || this.#tasks.has(draft.id)) {
        throw new InvalidInputError(`the task id ${draft.id} is taken`);
      }
      ids.add(draft.id);
      if (key !== undefined) fresh.set(key, draft);
      return { taskId: draft.id, created: true };
    });
    drafts.forEach((draft, i) => {
      if (receipts[i]?.created) this.#add(draft, nowMs);
    });
    return receipts;
  }

  async claim(claim: StoreClaim, nowMs: number): Promise<readonly StoredClaim[]> {
    this.#lifetime.check();
    this.#settleDue(nowMs);
    return this.#ready.take(claim).map((record) => {
      this.#move(record, PHASE.leased);
      record.dueMs = claim.leaseUntilMs;
      record.attempt += 1;
      record.token += 1;
      record.workerId = claim.workerId;
      record.holder = claim.holder;
      record.updatedAtMs = nowMs;
      remember(record, { atMs: nowMs, kind: "claimed", workerId: claim.workerId, token: record.token });
      this.#due.add(record);
      return { task: taskOfRecord(record), token: record.token };
    });
  }

  async anyReady(choice: LaneChoice): Promise<boolean> {
    this.#lifetime.check();
    return this.#ready.any(choice);
  }

  async renew(lease: HeldLease, leaseUntilMs: number, nowMs: number): Promise<void> {
    this.#lifetime.check();
    const record = this.#held(lease);
    if (record.phase === PHASE.ready) {
      this.#move(record, PHASE.leased);
      this.#ready.noteGone(record);
    }
    record.dueMs = leaseUntilMs;
    record.updatedAtMs = nowMs;
    this.#due.add(record);
  }

  async note(lease: HeldLease, note: TaskNote, nowMs: number): Promise<void> {
    this.#lifetime.check();
    const record = this.#held(lease, nowMs);
    if (note.progress) record.progress = mergedProgress(parseObject(record.progress), note.progress);
    if (note.logs) {
      const lines = note.logs.map(({ atMs, stream, message }) => ({ atMs, stream, message }));
      record.logs = [...record.logs, ...lines].slice(-MAX_LOG_LINES);
      record.lines += Math.min(lines.length, MAX_LOG_LINES);
    }
    record.updatedAtMs = nowMs;
  }

  async settle(lease: HeldLease, settlement: Settlement, nowMs: number): Promise<void> {
    this.#lifetime.check();
    const record = this.#tasks.get(lease.taskId);
    const final = settlement.kind === "completed" || settlement.kind === "failed";
    if (final && record && record.settledToken === lease.token && record.holder === lease.holder) {
      if (isRepetition(settlement, record.phase, parseObject(record.result))) return;
      throw new TaskFinishedError(lease.taskId, stateOf(record.phase));
    }
    const held = settlement.kind === "completed" ? this.#held(lease) : this.#held(lease, nowMs);
    const wasReady = held.phase === PHASE.ready;
    this.#apply(held, settlementEffect(settlement, nowMs), nowMs, final);
    if (wasReady) this.#ready.noteGone(held);
    if (final) held.settledToken = lease.token;
  }

  async cancel(taskId: string, reason: string, nowMs: number): Promise<void> {
    this.#lifetime.check();
    const record = this.#tasks.get(taskId);
    if (!record) throw new TaskNotFoundError(taskId);
    if (record.phase >= PHASE.completed) throw new TaskFinishedError(taskId, stateOf(record.phase));
    const wasReady = record.phase === PHASE.ready;
    this.#apply(record, cancellationEffect(reason), nowMs);
    if (wasReady) this.#ready.noteGone(record);
  }

  async get(taskId: string): Promise<Task | undefined> {
    this.#lifetime.check();
    const record = this.#tasks.get(taskId);
    return record && taskOfRecord(record);
  }

  async news(taskId: string, afterLine: number): Promise<StoredNews | undefined> {
    this.#lifetime.check();
    const record = this.#tasks.get(taskId);
    if (!record) return undefined;
    const { lines, logs } = record;
    const asked = Math.max(0, Math.min(lines - afterLine, logs.length));
    return {
      task: summaryOf(record),
      progress: parseObject(record.progress),
      logs: logs.slice(logs.length - asked),
      lines,
    };
  }

  async leaseOf(taskId: string): Promise<(HeldLease & { readonly workerId: string }) | undefined> {
    this.#lifetime.check();
    const record = this.#tasks.get(taskId);
    if (record?.phase !== PHASE.leased) return undefined;
    return { taskId, token: record.token, holder: record.holder ?? "", workerId: record.workerId ?? "" };
  }

  async list(filter: TaskFilter & { readonly limit: number }): Promise<TaskPage> {
    this.#lifetime.check();
    const after = seqOfCursor(filter.cursor);
    const phases = new Set(phasesOf(filter));
    const types = filter.types === undefined || filter.types.length === 0 ? undefined : new Set(filter.types);
    const page: TaskRecord[] = [];
    for (const record of this.#tasks.values()) {
      if (record.seq <= after || !phases.has(record.phase)) continue;
      if (types && !types.has(record.type)) continue;
      page.push(record);
      if (page.length > filter.limit) break;
    }
    const last = page.length > filter.limit ? page[filter.limit - 1] : undefined;
    const tasks = page.slice(0, filter.limit).map(summaryOf);
    return last ? { tasks, nextCursor: cursorAfter(last.seq) } : { tasks };
  }

  async settleDue(nowMs: number): Promise<DueOutcome> {
    this.#lifetime.check();
    this.#settleDue(nowMs);
    const readyLanes = [...this.#readyLanes];
    const deadTaskIds = this.#deadTaskIds;
    this.#readyLanes.clear();
    this.#deadTaskIds = [];
    const nextDueMs = this.#due.firstMs();
    return nextDueMs === undefined ? { readyLanes, deadTaskIds } : { readyLanes, deadTaskIds, nextDueMs };
  }

  async stats(nowMs: number): Promise<QueueStats> {
    this.#lifetime.check();
    const overdue = this.#due.upTo(nowMs).filter((record) => record.phase === PHASE.delayed);
    const since = [this.#waiting.firstMs(), ...overdue.map((record) => record.dueMs)];
    const oldestReadyMs = since.reduce(
      (a, b) => (b === undefined || (a !== undefined && a < b) ? a : b),
      undefined,
    );
    const count = (phase: Phase): number => this.#counts.get(phase) ?? 0;
    return queueStats({ count, overdue: overdue.length, oldestReadyMs }, nowMs);
  }

  /** Nobody else can open a map. */
  onForeignChange(): () => void {
    return () => undefined;
  }

  async survey(taskIds: readonly string[]): Promise<Survey> {
    this.#lifetime.check();
    const ended = (id: string): boolean => (this.#tasks.get(id)?.phase ?? PHASE.completed) >= PHASE.completed;
    const lanes = this.#ready.lanes(MAX_SCANNED_LANES + 1);
    const readyLanes = lanes.length > MAX_SCANNED_LANES ? undefined : lanes;
    return { endedTaskIds: taskIds.filter(ended), readyLanes, nextDueMs: this.#due.firstMs() };
  }

  async prune(beforeMs: number, limit: number): Promise<number> {
    this.#lifetime.check();
    let pruned = 0;
    for (const record of this.#tasks.values()) {
      if (pruned >= limit) break;
      if (record.phase < PHASE.completed || record.updatedAtMs >= beforeMs) continue;
      this.#count(record.phase, -1);
      this.#tasks.delete(record.id);
      if (record.idempotencyKey !== undefined) this.#byKey.delete(record.idempotencyKey);
      pruned += 1;
    }
    return pruned;
  }

  #add(draft: TaskDraft, nowMs: number): void {
    this.#seq += 1;
    const record = recordOf(draft, this.#seq, nowMs);
    this.#tasks.set(record.id, record);
    if (record.idempotencyKey !== undefined) this.#byKey.set(record.idempotencyKey, record);
    this.#count(record.phase, 1);
    this.#enter(record);
  }

  #count(phase: Phase, change: number): void {
    this.#counts.set(phase, (this.#counts.get(phase) ?? 0) + change);
  }

  #move(record: TaskRecord, phase: Phase): void {
    this.#count(record.phase, -1);
    record.phase = phase;
    this.#count(phase, 1);
  }

  /** Puts a task where claims or the passing of time find it. */
  #enter(record: TaskRecord): void {
    if (record.phase === PHASE.ready) {
      this.#ready.add(record);
      this.#waiting.add(record);
    } else this.#due.add(record);
  }

  /** The task of a lease that nobody else was given since. With `nowMs` one that has run out is refused. */
  #held({ taskId, token, holder }: HeldLease, nowMs?: number): TaskRecord {
    const record = this.#tasks.get(taskId);
    const mine = record?.token === token && record.holder === holder;
    const leased = record?.phase === PHASE.leased;
    const inForce = leased && (nowMs === undefined || (record.dueMs ?? Infinity) > nowMs);
    const unclaimed = record?.phase === PHASE.ready && nowMs === undefined;
    if (!record || !mine || !(inForce || unclaimed)) throw new LeaseLostError(taskId, token);
    return record;
  }

  #apply(record: TaskRecord, effect: Effect, nowMs: number, byLease = false): void {
    const { workerId, token } = record;
    remember(record, {
      atMs: nowMs,
      kind: effect.event,
      ...((byLease || record.phase === PHASE.leased) && {
        token,
        ...(workerId !== undefined && { workerId }),
      }),
      ...(effect.detail !== undefined && { detail: effect.detail }),
    });
    this.#move(record, effect.phase);
    record.dueMs = effect.dueMs;
    if (effect.endsLease === true) record.holder = undefined;
    record.readyMs = nowMs;
    if (!effect.attemptCounts) record.attempt -= 1;
    if (effect.outcome) {
      const { result, error } = effect.outcome;
      record.result = result && JSON.stringify(result);
      record.error = error && { ...error };
    }
    record.updatedAtMs = nowMs;
    if (effect.phase < PHASE.completed) this.#enter(record);
  }

  #settleDue(nowMs: number): void {
    for (let settled = 0; settled < MAX_DUE_BATCH; settled++) {
      const record = this.#due.take(nowMs);
      if (!record) return;
      if (record.phase === PHASE.delayed) this.#wake(record);
      else this.#apply(record, expiryEffect(record.attempt, record.maxAttempts), nowMs);
      if (record.phase === PHASE.ready) this.#readyLanes.add(record.lane);
      else this.#deadTaskIds.push(record.id);
    }
  }

  /** Makes a delayed task claimable, since the instant that it was delayed to. */
  #wake(record: TaskRecord): void {
    this.#move(record, PHASE.ready);
    record.readyMs = record.dueMs ?? record.readyMs;
    record.dueMs = undefined;
    this.#enter(record);
  }
}
