/** A {@link TaskStore} in PostgreSQL: which call goes with which others, and who is told. */
import { errorFacts } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
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
import { type Answer, Batches } from "./batches.ts";
import type { Bell } from "./bell.ts";
import { type ClaimCall, type Claimed, claimTasks, goTogether } from "./claim.ts";
import type { Database } from "./database.ts";
import { nextDueMs, type Settled, settleDueTasks } from "./due.ts";
import { type InsertCall, insertTasks } from "./insert.ts";
import { LaneRound } from "./lanes.ts";
import { actUnderLeases, findLease, type LeaseAction, type LeaseCall } from "./lease.ts";
import { PRUNE_BATCH, pruneTasks, tidy } from "./prune.ts";
import { anyReady, listTasks, newsOf, readStats, surveyTasks, taskById } from "./read.ts";

/** How often what transactions leave behind is tidied. */
const TIDY_EVERY_MS = 10_000;

/** What the store works with. */
export interface PostgresTaskParts {
  readonly database: Database;
  readonly bell: Bell;
  readonly lifetime: Lifetime;
  readonly logger: Logger;
}

/** A queue that any number of nodes share. */
export class PostgresTaskStore implements TaskStore {
  readonly #database: Database;
  readonly #bell: Bell;
  readonly #lifetime: Lifetime;
  readonly #logger: Logger;
  readonly #round = new LaneRound();
  readonly #inserts: Batches<InsertCall>;
  readonly #leases: Batches<LeaseCall>;
  readonly #claims: Batches<ClaimCall>;
  /** What claims settled on their way, until {@link PostgresTaskStore.settleDue} reports it. */
  readonly #unreported: Settled[] = [];
  /** What lapsed while nobody could renew was looked at. */
  #caughtUp = false;
  #tidyAt: number = performance.now() + TIDY_EVERY_MS;

  constructor({ database, bell, lifetime, logger }: PostgresTaskParts) {
    this.#database = database;
    this.#bell = bell;
    this.#lifetime = lifetime;
    this.#logger = logger;
    this.#inserts = new Batches((calls) => this.#rung(insertTasks(database, calls)));
    this.#leases = new Batches((calls) => this.#act(calls));
    this.#claims = new Batches((calls) => this.#claim(calls), goTogether);
  }

  /** The server was away, so nobody could renew: leases that lapsed meanwhile hold once more. */
  wasAway(): void {
    this.#caughtUp = false;
  }

  /** Until all that was asked has been answered. */
  async idle(): Promise<void> {
    await Promise.all([this.#inserts.idle(), this.#leases.idle(), this.#claims.idle()]);
  }

  async insert(drafts: readonly TaskDraft[], nowMs: number): Promise<readonly SubmitReceipt[]> {
    this.#lifetime.check();
    const payloads = drafts.map(({ payload }) => JSON.stringify(payload));
    return new Promise((resolve, reject) => {
      this.#inserts.add({ drafts: [...drafts], payloads, nowMs, resolve, reject });
    });
  }

  async claim(claim: StoreClaim, nowMs: number): Promise<readonly StoredClaim[]> {
    this.#lifetime.check();
    return new Promise((resolve, reject) => {
      this.#claims.add({ claim, nowMs, looks: 0, resolve, reject });
    });
  }

  async anyReady(choice: LaneChoice): Promise<boolean> {
    this.#lifetime.check();
    return anyReady(this.#database, choice);
  }

  async renew(lease: HeldLease, leaseUntilMs: number, nowMs: number): Promise<void> {
    return this.#ask(lease.taskId, { do: "renew", lease, leaseUntilMs }, nowMs);
  }

  async note(lease: HeldLease, note: TaskNote, nowMs: number): Promise<void> {
    return this.#ask(lease.taskId, { do: "note", lease, note }, nowMs);
  }

  async settle(lease: HeldLease, settlement: Settlement, nowMs: number): Promise<void> {
    return this.#ask(lease.taskId, { do: "settle", lease, settlement }, nowMs);
  }

  async cancel(taskId: string, reason: string, nowMs: number): Promise<void> {
    return this.#ask(taskId, { do: "cancel", taskId, reason }, nowMs);
  }

  async get(taskId: string): Promise<Task | undefined> {
    this.#lifetime.check();
    return taskById(this.#database, taskId);
  }

  async news(taskId: string, afterLine: number): Promise<StoredNews | undefined> {
    this.#lifetime.check();
    return newsOf(this.#database, taskId, afterLine);
  }

  async leaseOf(taskId: string): Promise<(HeldLease & { readonly workerId: string }) | undefined> {
    this.#lifetime.check();
    const row = await findLease(this.#database, taskId);
    if (row?.phase !== PHASE.leased) return undefined;
    return { taskId, token: row.token, holder: row.holder ?? "", workerId: row.worker_id ?? "" };
  }

  async list(filter: TaskFilter & { readonly limit: number }): Promise<TaskPage> {
    this.#lifetime.check();
    return listTasks(this.#database, filter);
  }

  async settleDue(nowMs: number): Promise<DueOutcome> {
    this.#lifetime.check();
    const before = this.#caughtUp ? await nextDueMs(this.#database) : 0;
    const settled = before !== undefined && before <= nowMs ? [await this.#settleDue(nowMs)] : [];
    const next = settled.length > 0 ? await nextDueMs(this.#database) : before;
    const all = [...this.#unreported.splice(0), ...settled];
    await this.#tidy();
    const readyLanes = [...new Set(all.flatMap((one) => one.readyLanes))];
    const deadTaskIds = all.flatMap((one) => one.deadTaskIds);
    return next === undefined ? { readyLanes, deadTaskIds } : { readyLanes, deadTaskIds, nextDueMs: next };
  }

  async stats(nowMs: number): Promise<QueueStats> {
    this.#lifetime.check();
    return readStats(this.#database, nowMs);
  }

  onForeignChange(listener: () => void): () => void {
    return this.#bell.onChange(listener);
  }

  async survey(taskIds: readonly string[]): Promise<Survey> {
    this.#lifetime.check();
    return surveyTasks(this.#database, taskIds);
  }

  /** In several transactions, so that others get in between. */
  async prune(beforeMs: number, limit: number): Promise<number> {
    let pruned = 0;
    while (pruned < limit) {
      this.#lifetime.check();
      const size = Math.min(PRUNE_BATCH, limit - pruned);
      const gone = await pruneTasks(this.#database, beforeMs, size);
      pruned += gone;
      if (gone < size) break;
    }
    return pruned;
  }

  async #ask(taskId: string, action: LeaseAction, nowMs: number): Promise<void> {
    this.#lifetime.check();
    return new Promise((resolve, reject) => {
      this.#leases.add({ key: taskId, action, nowMs, resolve, reject });
    });
  }

  async #act(calls: readonly LeaseCall[]): Promise<readonly Answer[]> {
    const answers = await actUnderLeases(this.#database, calls);
    if (calls.some(({ action }) => action.do === "settle" || action.do === "cancel")) this.#bell.ring();
    else this.#bell.ringLater();
    return answers;
  }

  async #rung<T>(change: Promise<T>): Promise<T> {
    const value = await change;
    this.#bell.ring();
    return value;
  }

  /** What is due is settled first, as far as one transaction does. */
  async #claim(calls: readonly ClaimCall[]): Promise<readonly Answer[]> {
    const nowMs = Math.max(...calls.map((call) => call.nowMs));
    const again = (call: ClaimCall): void => this.#claims.add(call);
    let claimed: Claimed | undefined;
    if (this.#caughtUp) claimed = await claimTasks(this.#database, this.#round, calls, false, again);
    if (!claimed || claimed.due) {
      this.#unreported.push(await this.#settleDue(nowMs));
      claimed = await claimTasks(this.#database, this.#round, calls, true, again);
    }
    const { answers, leased, damagedIds } = claimed;
    if (damagedIds.length > 0) this.#unreported.push({ readyLanes: [], deadTaskIds: damagedIds });
    if (leased > 0) this.#bell.ringLater();
    return answers;
  }

  async #settleDue(nowMs: number): Promise<Settled> {
    const lengthen = !this.#caughtUp;
    this.#caughtUp = true;
    try {
      const settled = await settleDueTasks(this.#database, nowMs, lengthen);
      if (settled.readyLanes.length + settled.deadTaskIds.length > 0) this.#bell.ring();
      return settled;
    } catch (error) {
      if (lengthen) this.#caughtUp = false;
      throw error;
    }
  }

  async #tidy(): Promise<void> {
    if (performance.now() < this.#tidyAt) return;
    this.#tidyAt = performance.now() + TIDY_EVERY_MS;
    try {
      await tidy(this.#database);
    } catch (error) {
      // What is due was settled, and that must be told; the next time tidies more.
      this.#logger.warn(errorFacts(error), "the database could not be tidied");
    }
  }
}
