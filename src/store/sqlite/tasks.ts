/** A {@link TaskStore} in SQLite: which call is a read, which is a write, and nothing else. */
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
import type { Task } from "../../task/task.ts";
import { PHASE } from "../phase.ts";
import type { Lifetime } from "../stores.ts";
import { anyReady, claimTasks } from "./claim.ts";
import type { Connection } from "./connection.ts";
import { lengthenLapsedLeases, nextDueMs, settleDueTasks, type Settled } from "./due.ts";
import type { GroupCommit } from "./group-commit.ts";
import { insertTask } from "./insert.ts";
import { LaneScan } from "./lanes.ts";
import { addNote, cancelTask, findLease, renewLease, settleLease } from "./lease.ts";
import type { Neighbours } from "./neighbours.ts";
import { PRUNE_BATCH, pruneTasks } from "./prune.ts";
import { listTasks, newsOf, readStats, taskById } from "./read.ts";
import { surveyTasks } from "./survey.ts";

/** The durable queue of a node. */
export class SqliteTaskStore implements TaskStore {
  readonly #connection: Connection;
  readonly #commits: GroupCommit;
  readonly #lifetime: Lifetime;
  readonly #neighbours: Neighbours;
  readonly #scan: LaneScan;
  /** What claims settled on their way, until {@link SqliteTaskStore.settleDue} reports it. */
  readonly #unreported: Settled[] = [];

  /** In the transaction of this number nothing more falls due before {@link #quietUntilMs}. */
  #quietTurn = -1;
  #quietUntilMs = 0;

  /** What lapsed while the file was closed was looked at. */
  #caughtUp = false;

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime, neighbours: Neighbours) {
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
    this.#neighbours = neighbours;
    this.#scan = new LaneScan(connection);
  }

  async insert(drafts: readonly TaskDraft[], nowMs: number): Promise<readonly SubmitReceipt[]> {
    const packed = drafts.map((draft) => ({ draft, payload: JSON.stringify(draft.payload) }));
    return this.#write(() => packed.map((one) => insertTask(this.#connection, one, nowMs)));
  }

  async claim(claim: StoreClaim, nowMs: number): Promise<readonly StoredClaim[]> {
    const { settled, claimed } = await this.#write(() => ({
      settled: this.#settleOnce(nowMs),
      claimed: claimTasks(this.#connection, claim, this.#scan, nowMs),
    }));
    this.#caughtUp = true;
    const { claims, damagedIds } = claimed;
    // Only now: a claim that failed took back what it had settled.
    if (settled || damagedIds.length > 0) {
      const deadTaskIds = [...(settled?.deadTaskIds ?? []), ...damagedIds];
      this.#unreported.push({ readyLanes: settled?.readyLanes ?? [], deadTaskIds });
    }
    return claims;
  }

  async anyReady(choice: LaneChoice): Promise<boolean> {
    this.#lifetime.check();
    return anyReady(this.#connection, choice);
  }

  async renew(lease: HeldLease, leaseUntilMs: number, nowMs: number): Promise<void> {
    return this.#write(() => renewLease(this.#connection, lease, leaseUntilMs, nowMs));
  }

  async note(lease: HeldLease, note: TaskNote, nowMs: number): Promise<void> {
    return this.#write(() => addNote(this.#connection, lease, note, nowMs));
  }

  async settle(lease: HeldLease, settlement: Settlement, nowMs: number): Promise<void> {
    return this.#write(() => settleLease(this.#connection, lease, settlement, nowMs));
  }

  async cancel(taskId: string, reason: string, nowMs: number): Promise<void> {
    return this.#write(() => cancelTask(this.#connection, taskId, reason, nowMs));
  }

  async get(taskId: string): Promise<Task | undefined> {
    this.#lifetime.check();
    return taskById(this.#connection, taskId);
  }

  async news(taskId: string, afterLine: number): Promise<StoredNews | undefined> {
    this.#lifetime.check();
    return newsOf(this.#connection, taskId, afterLine);
  }

  async leaseOf(taskId: string): Promise<(HeldLease & { readonly workerId: string }) | undefined> {
    this.#lifetime.check();
    const row = findLease(this.#connection, taskId);
    if (row?.phase !== PHASE.leased) return undefined;
    return { taskId, token: row.token, holder: row.holder ?? "", workerId: row.worker_id ?? "" };
  }

  async list(filter: TaskFilter & { readonly limit: number }): Promise<TaskPage> {
    this.#lifetime.check();
    return listTasks(this.#connection, filter);
  }

  async settleDue(nowMs: number): Promise<DueOutcome> {
    const { settled, next } = await this.#write(() => ({
      settled: this.#settleDue(nowMs),
      next: nextDueMs(this.#connection),
    }));
    this.#caughtUp = true;
    const all = [...this.#unreported.splice(0), settled];
    const readyLanes = [...new Set(all.flatMap((one) => one.readyLanes))];
    const deadTaskIds = all.flatMap((one) => one.deadTaskIds);
    return next === undefined ? { readyLanes, deadTaskIds } : { readyLanes, deadTaskIds, nextDueMs: next };
  }

  async stats(nowMs: number): Promise<QueueStats> {
    this.#lifetime.check();
    return readStats(this.#connection, nowMs);
  }

  onForeignChange(listener: () => void): () => void {
    return this.#neighbours.onChange(listener);
  }

  async survey(taskIds: readonly string[]): Promise<Survey> {
    this.#lifetime.check();
    return surveyTasks(this.#connection, taskIds);
  }

  /** In several transactions, so that others get in between. */
  async prune(beforeMs: number, limit: number): Promise<number> {
    let pruned = 0;
    while (pruned < limit) {
      const size = Math.min(PRUNE_BATCH, limit - pruned);
      const gone = await this.#write(() => pruneTasks(this.#connection, beforeMs, size));
      pruned += gone;
      if (gone < size) break;
    }
    return pruned;
  }

  /** For claims, which come many in one transaction: only the first of them looks what is due. */
  #settleOnce(nowMs: number): Settled | undefined {
    if (this.#quietTurn === this.#commits.turn && nowMs < this.#quietUntilMs) return undefined;
    const next = this.#caughtUp ? nextDueMs(this.#connection) : undefined;
    const isQuiet = this.#caughtUp && (next ?? Infinity) > nowMs;
    const settled = isQuiet ? undefined : this.#settleDue(nowMs);
    this.#quietUntilMs = (isQuiet ? next : nextDueMs(this.#connection)) ?? Infinity;
    this.#quietTurn = this.#commits.turn;
    return settled;
  }

  #settleDue(nowMs: number): Settled {
    if (!this.#caughtUp) lengthenLapsedLeases(this.#connection, nowMs);
    return settleDueTasks(this.#connection, nowMs);
  }

  async #write<T>(operation: () => T): Promise<T> {
    this.#lifetime.check();
    return this.#commits.write(operation);
  }
}
