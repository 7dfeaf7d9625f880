/**
 * Conducts one run: decides, writes down, does what was decided, and waits for the next fact.
 *
 * What was decided is in the log before it is done, and everything that is done can be done twice: the same attempt
 * submitted again is the same task, a task cancelled again stays cancelled. So whoever reads the log after a crash, here
 * or on another node, goes on where it ends.
 */
import type { Clock } from "../../clock.ts";
import { hasCode, McpError } from "../../errors.ts";
import { type Nursery, openNursery, suspend } from "../../nursery/index.ts";
import type { TaskQueue } from "../../task/queue.ts";
import {
  type Attempt,
  attemptName,
  attemptsOf,
  endOf,
  finishedFact,
  type Place,
  refusedFact,
  taskOf,
} from "./attempts.ts";
import type { Bells } from "./bells.ts";
import { decideAll } from "./decide.ts";
import type { Fact, RunHappening } from "./events.ts";
import { MAX_BATCH_EVENTS, MAX_SUBMIT_TASKS } from "./limits.ts";
import { changeOf, loadRun, numbered, readOn } from "./log.ts";
import type { Run } from "./state.ts";
import type { WorkflowStore } from "./store.ts";

/** What conducting needs. */
export interface ConductOptions {
  readonly store: WorkflowStore;
  /** The queue of the node that has the store. */
  readonly queue: TaskQueue;
  readonly clock: Clock;
  readonly bells: Bells;
  readonly place: Place;
  /** In whose name: see {@link WorkflowStore.append}. */
  readonly instance: string;
}

/** The longest timer: what lies further ahead is looked at again. A day, far below what timers can hold. */
const MAX_TIMER_MS = 86_400_000;

/** One run in the hands of a conductor. */
export class Conduct {
  readonly #options: ConductOptions;
  readonly #runId: string;
  #inbox: Fact[] = [];
  /** Attempts whose end is waited for, whose task was told to stop, or whose time is measured. */
  readonly #watched = new Set<string>();
  readonly #stopped = new Set<string>();
  readonly #timers = new Map<string, () => void>();
  #stale = false;
  #ring: (() => void) | undefined;

  constructor(runId: string, options: ConductOptions) {
    this.#runId = runId;
    this.#options = options;
  }

  /** Tells that somebody else has added to the log. */
  grown(): void {
    this.#stale = true;
    this.#ring?.();
  }

  /** Conducts the run to its end. @throws ConductorLostError if another process conducts it, and the store's errors */
  async toEnd(): Promise<void> {
    try {
      await openNursery(async (nursery) => {
        await this.#conduct(nursery);
        nursery.cancel("the run has ended");
      });
    } finally {
      for (const undo of this.#timers.values()) undo();
      this.#timers.clear();
    }
  }

  async #conduct(nursery: Nursery): Promise<void> {
    const { store } = this.#options;
    let run = await loadRun(store, this.#runId);
    while (run) {
      if (this.#stale) {
        this.#stale = false;
        await readOn(store, run);
      }
      const facts = this.#inbox.splice(0, MAX_BATCH_EVENTS);
      const wrote = await this.#write(run, facts);
      if (wrote === "conflict") {
        // Others have asked something of the run: what was decided without knowing it was never written.
        this.#inbox.unshift(...facts);
        run = await loadRun(store, this.#runId);
        continue;
      }
      if (run.state !== "running") return;
      await this.#follow(run, nursery);
      if (wrote !== "full" && !this.#stale && this.#inbox.length === 0) await this.#wait();
    }
  }

  async #wait(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#ring = resume;
      return fail;
    });
    this.#ring = undefined;
  }

  #tell(fact: Fact): void {
    this.#inbox.push(fact);
    this.#ring?.();
  }

  /** Takes facts in, decides, and appends both. @returns `full` if there is more to decide */
  async #write(run: Run, facts: readonly Fact[]): Promise<"done" | "full" | "conflict"> {
    const { store, clock, bells, instance } = this.#options;
    const nowMs = clock.epochMs();
    const { length } = run;
    const happenings: RunHappening[] = [];
    for (const fact of facts) {
      if (!isNews(run, fact)) continue;
      run.apply(fact, nowMs);
      happenings.push(fact);
    }
    const decisions = decideAll(run, nowMs, MAX_BATCH_EVENTS);
    happenings.push(...decisions);
    if (happenings.length === 0) return "done";
    try {
      await store.append(run.id, numbered(happenings, length, nowMs), changeOf(run), nowMs, instance);
    } catch (error) {
      if (hasCode(error, "E_RUN_CONFLICT")) return "conflict";
      throw error;
    }
    bells.ring(run.id);
    return decisions.length < MAX_BATCH_EVENTS ? "done" : "full";
  }

  /** Does what was decided and is not done yet. */
  async #follow(run: Run, nursery: Nursery): Promise<void> {
    const attempts = [...attemptsOf(run)];
    await this.#submit(
      run,
      attempts.filter(({ unit }) => unit.phase === "submitting"),
    );
    for (const attempt of attempts) {
      const { unit } = attempt;
      if (unit.phase === "running" || unit.phase === "stopping") this.#watch(run, attempt, nursery);
      if (unit.phase === "stopping") await this.#stop(attempt);
      if (unit.phase === "running" || unit.phase === "submitting") this.#time(attempt);
    }
    for (const step of run.openSteps)
      if (step.state === "asking" && step.step.timeout !== undefined)
        this.#timer(
          { kind: "timed_out", step: step.step.id, attempt: step.floor },
          step.sinceMs + step.step.timeout,
        );
  }

  async #submit(run: Run, attempts: readonly Attempt[]): Promise<void> {
    const fresh = attempts.filter(({ key }) => !this.#inbox.some((fact) => isAbout(fact, key)));
    for (let from = 0; from < fresh.length; from += MAX_SUBMIT_TASKS)
      await this.#submitBatch(run, fresh.slice(from, from + MAX_SUBMIT_TASKS));
  }

  async #submitBatch(run: Run, attempts: readonly Attempt[]): Promise<void> {
    const { queue, clock, place } = this.#options;
    const nowMs = clock.epochMs();
    try {
      const receipts = await queue.submit(attempts.map((attempt) => taskOf(run, attempt, nowMs, place)));
      for (const [index, { taskId }] of receipts.entries()) {
        const attempt = attempts[index];
        if (attempt) this.#tell({ kind: "submitted", ...attempt.key, taskId });
      }
    } catch (error) {
      const isOwnFault =
        error instanceof McpError && (error.failureClass === "invalid" || error.failureClass === "conflict");
      if (!isOwnFault) throw error;
      const [only] = attempts;
      if (attempts.length === 1 && only) this.#tell(refusedFact(only.key, error));
      // One of them cannot be a task: each by itself, to find out which.
      else for (const attempt of attempts) await this.#submitBatch(run, [attempt]);
    }
  }

  #watch(run: Run, { key, unit }: Attempt, nursery: Nursery): void {
    const name = attemptName(key);
    const { taskId } = unit;
    if (taskId === undefined || this.#watched.has(name)) return;
    this.#watched.add(name);
    nursery.startSoon(async () => {
      try {
        const task = await endOf(this.#options.queue, taskId);
        this.#watched.delete(name);
        this.#timers.get(name)?.();
        this.#timers.delete(name);
        this.#tell(finishedFact(key, task, run));
      } catch (error) {
        // The node is shutting down: whoever conducts the run next watches anew.
        if (!hasCode(error, "E_SHUTTING_DOWN")) throw error;
      }
    }, `watch ${name}`);
  }

  async #stop({ key, unit }: Attempt): Promise<void> {
    const name = attemptName(key);
    if (unit.taskId === undefined || this.#stopped.has(name)) return;
    this.#stopped.add(name);
    try {
      await this.#options.queue.cancel(unit.taskId, "its workflow step was stopped");
    } catch (error) {
      // It has ended by itself, or was forgotten: either way the watch tells.
      if (!hasCode(error, "E_TASK_FINISHED") && !hasCode(error, "E_TASK_NOT_FOUND")) throw error;
    }
  }

  #time({ key, step, unit }: Attempt): void {
    const { timeout } = step.step;
    if (timeout === undefined || unit.timedOut) return;
    this.#timer({ kind: "timed_out", ...key }, unit.fromMs + timeout);
  }

  #timer(fact: Extract<Fact, { kind: "timed_out" }>, atMs: number): void {
    const name = attemptName(fact);
    if (this.#timers.has(name)) return;
    const { clock } = this.#options;
    const look = (): void => {
      const leftMs = atMs - clock.epochMs();
      if (leftMs <= 0) this.#tell(fact);
      else this.#timers.set(name, clock.schedule(look, Math.min(leftMs, MAX_TIMER_MS)));
    };
    this.#timers.set(name, clock.schedule(look, Math.min(Math.max(0, atMs - clock.epochMs()), MAX_TIMER_MS)));
  }
}

function isAbout(
  fact: Fact,
  key: { readonly step: string; readonly item?: number | undefined; readonly attempt: number },
): boolean {
  if (fact.kind !== "submitted" && fact.kind !== "finished") return false;
  return fact.step === key.step && fact.item === key.item && fact.attempt === key.attempt;
}

/** Whether a fact changes anything: what is told twice is written once. */
function isNews(run: Run, fact: Fact): boolean {
  if (fact.kind !== "submitted" && fact.kind !== "finished" && fact.kind !== "timed_out") return true;
  const step = run.step(fact.step);
  if (fact.kind === "timed_out" && step.state === "asking")
    return fact.attempt === step.floor && !step.answer;
  const unit = step.units[fact.item ?? 0];
  if (!unit || unit.attempt !== fact.attempt) return false;
  if (fact.kind === "submitted") return unit.phase === "submitting";
  if (fact.kind === "timed_out")
    return !unit.timedOut && (unit.phase === "running" || unit.phase === "submitting");
  return unit.phase === "running" || unit.phase === "stopping" || unit.phase === "submitting";
}
