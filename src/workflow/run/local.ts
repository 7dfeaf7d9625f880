/**
 * Durable workflows over a store and a queue.
 *
 * Whatever is asked of a run becomes an event of its log first; the conductor, wherever it is, finds it there. So asking
 * is the same for the node that conducts the run and for others with the same database.
 */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../clock.ts";
import { canonicalDigest } from "../../content/canonical-json.ts";
import { parseInput } from "../../content/parse.ts";
import { hasCode, errorFacts, RunNotFoundError, RunStateError, ShuttingDownError } from "../../errors.ts";
import { type Logger, silentLogger } from "../../logger.ts";
import { cancelScope, type Nursery, shield } from "../../nursery/index.ts";
import type { CallOptions } from "../../peer/rpc.ts";
import { boundedWait, throwIfAborted } from "../../task/bounded-wait.ts";
import type { TaskQueue } from "../../task/queue.ts";
import { DEFAULT_RETENTION_MS } from "../../task/timekeeper.ts";
import { parseWorkflow, readWorkflow } from "../definition/parse.ts";
import type { Place } from "./attempts.ts";
import { Bells } from "./bells.ts";
import { Conductor } from "./conductor.ts";
import type { RunEvent, RunHappening } from "./events.ts";
import { explainRun, type OwnerOf } from "./explain.ts";
import { inputsOf } from "./inputs.ts";
import { DEFAULT_RUN_LIMIT, MAX_EVENTS_SHOWN } from "./limits.ts";
import { changeOf, loadRun, numbered, wholeLog } from "./log.ts";
import { replay, type ReplayReport } from "./replay.ts";
import { answerSchema, runFilterSchema, runRequestSchema, runWaitSchema } from "./schemas.ts";
import type { Run } from "./state.ts";
import type { RunFilter, RunPage, WorkflowStore } from "./store.ts";
import { runView } from "./view.ts";
import type {
  Answer,
  RunExplanation,
  RunReceipt,
  RunRequest,
  RunView,
  RunWait,
  Workflows,
} from "./workflows.ts";

/** What local workflows are made of. */
export interface LocalWorkflowsOptions {
  readonly store: WorkflowStore;
  /** The queue of the node that has the store: steps become its tasks. */
  readonly queue: TaskQueue;
  readonly nursery: Nursery;
  readonly clock: Clock;
  /** A name that no other process has at the same time, and that this one has again after a restart. */
  readonly conductor: string;
  /** Default: silent. */
  readonly logger?: Logger | undefined;
  /** How long ended runs are kept, in milliseconds. Default: as tasks. */
  readonly retentionMs?: number | undefined;
  /** Default: tasks go to whoever claims them. */
  readonly place?: Place | undefined;
  /** Default: nobody has an opinion. */
  readonly ownerOf?: OwnerOf | undefined;
}

/** The workflows of this process. */
export interface LocalWorkflows {
  /** As the node's owner sees them. */
  readonly workflows: Workflows;
  /** As `caller` (see `callerName`) sees them: the log says who asked for what. */
  as(caller: string): Workflows;
  /** Lets go of all runs, so that another process, or this one after a restart, goes on. Idempotent. */
  stop(): Promise<void>;
}

/** How long letting go of the runs may take; whoever takes them over waits for the end of the lease otherwise. */
const RELEASE_LIMIT_MS = 5000;
/** How often asking something of a run is tried, while its log grows under it. */
const MAX_CONFLICTS = 100;

/** Opens workflows over `store`. Runs that were under way go on. */
export function openWorkflows(options: LocalWorkflowsOptions): LocalWorkflows {
  const core = new WorkflowsCore(options);
  return { workflows: core.as("owner"), as: (caller) => core.as(caller), stop: () => core.stop() };
}

class WorkflowsCore {
  readonly #store: WorkflowStore;
  readonly #queue: TaskQueue;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #ownerOf: OwnerOf;
  readonly #bells = new Bells();
  readonly #conductor: Conductor;
  readonly #instance: string = randomUUID();
  readonly #stop = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();

  constructor({ store, queue, nursery, clock, logger = silentLogger, ...rest }: LocalWorkflowsOptions) {
    this.#store = store;
    this.#queue = queue;
    this.#clock = clock;
    this.#logger = logger;
    this.#ownerOf = rest.ownerOf ?? (() => Promise.resolve(undefined));
    this.#conductor = new Conductor({
      store,
      queue,
      clock,
      logger,
      bells: this.#bells,
      place: rest.place ?? ((task) => task),
      who: { name: rest.conductor, instance: this.#instance },
      retentionMs: rest.retentionMs ?? DEFAULT_RETENTION_MS,
    });
    nursery.startSoon(() => this.#conduct(), "workflows");
  }

  as(caller: string): Workflows {
    return {
      run: (request, options) => begin(options, () => this.#start(request, caller)),
      list: (filter, options) => begin(options, () => this.#list(filter ?? {})),
      get: (runId, options) => begin(options, () => this.#get(runId)),
      wait: (runId, wait, options) => begin(options, () => this.#wait(runId, wait, options?.signal)),
      events: (runId, after, options) => begin(options, () => this.#events(runId, after)),
      cancel: (runId, reason, options) => begin(options, () => this.#cancel(runId, reason, caller)),
      retry: (runId, from, options) => begin(options, () => this.#retry(runId, from, caller)),
      answer: (runId, answer, options) => begin(options, () => this.#answer(runId, answer, caller)),
      explain: (runId, options) => begin(options, () => this.#explain(runId)),
      replay: (runId, options) => begin(options, () => this.#replay(runId)),
    };
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#bells.ring();
    await this.#stopped.promise;
  }

  async #conduct(): Promise<void> {
    try {
      await cancelScope(() => this.#conductor.run(), { signal: this.#stop.signal });
    } finally {
      await this.#letGo();
      this.#stopped.resolve();
    }
  }

  async #letGo(): Promise<void> {
    try {
      await shield(RELEASE_LIMIT_MS, () => this.#store.release(this.#instance));
    } catch (error) {
      // The store may be closed already; others take the runs over when the lease ends.
      this.#logger.debug(errorFacts(error), "the workflow runs could not be let go of");
    }
  }

  async #start(request: RunRequest, by: string): Promise<RunReceipt> {
    this.#requireOpen();
    const {
      workflow: source,
      inputs: given = {},
      idempotencyKey,
    } = parseInput(runRequestSchema, request, "run");
    const workflow = typeof source === "string" ? await parseWorkflow(source) : readWorkflow(source);
    const inputs = inputsOf(workflow, given);
    const id = newRunId();
    const nowMs = this.#clock.epochMs();
    const [first] = numbered([{ kind: "started", workflow, inputs, by }], 0, nowMs);
    if (!first) throw new TypeError("a run needs a first event");
    const digest = canonicalDigest({ workflow, inputs });
    const receipt = await this.#store.create(
      { id, workflow: workflow.name, idempotencyKey, digest },
      first,
      nowMs,
    );
    if (receipt.created) this.#bells.ring(receipt.runId);
    return receipt;
  }

  #list(filter: RunFilter): Promise<RunPage> {
    const parsed = parseInput(runFilterSchema, filter, "list of runs");
    return this.#store.list({ ...parsed, limit: parsed.limit ?? DEFAULT_RUN_LIMIT });
  }

  async #get(runId: string): Promise<RunView | undefined> {
    const row = await this.#store.get(runId);
    const run = row && (await loadRun(this.#store, runId));
    return row && run && runView(row, run);
  }

  async #wait(runId: string, wait: RunWait, signal: AbortSignal | undefined): Promise<RunView> {
    const { timeoutMs, after } = parseInput(runWaitSchema, wait, "wait");
    const untilMs = this.#clock.now() + timeoutMs;
    for (;;) {
      this.#requireOpen();
      let changed = false;
      let ring: (() => void) | undefined;
      const tell = (): void => {
        changed = true;
        ring?.();
      };
      const undo = [
        this.#store.onForeignChange(tell),
        this.#bells.listen((which) => (which === undefined || which === runId ? tell() : undefined)),
      ];
      try {
        const row = await this.#store.get(runId);
        if (!row) throw new RunNotFoundError(runId);
        const isNews = row.state !== "running" || (after !== undefined && row.length > after);
        if (isNews || this.#clock.now() >= untilMs) return await this.#required(runId);
        await boundedWait(
          { clock: this.#clock, timeoutMs: untilMs - this.#clock.now(), signal },
          (resume) => {
            ring = resume;
            if (changed) resume();
            return () => {
              ring = undefined;
            };
          },
        );
      } finally {
        for (const step of undo) step();
      }
    }
  }

  async #events(runId: string, after: number): Promise<readonly RunEvent[]> {
    const events = await this.#store.events(runId, after, MAX_EVENTS_SHOWN);
    if (events.length === 0 && !(await this.#store.get(runId))) throw new RunNotFoundError(runId);
    return events;
  }

  async #cancel(runId: string, reason: string, by: string): Promise<void> {
    await this.#ask(runId, (run) => {
      if (run.state !== "running") throw new RunStateError(`run ${runId} has already ${run.state}`);
      return run.cancelling === undefined ? { kind: "cancel_requested", reason, by } : undefined;
    });
  }

  async #retry(runId: string, from: string | undefined, by: string): Promise<void> {
    await this.#ask(runId, (run) => {
      if (run.state === "running")
        throw new RunStateError(`run ${runId} has not ended`, { hint: "cancel it first" });
      if (from !== undefined && !run.steps.has(from))
        throw new RunStateError(`run ${runId} has no step '${from}'`, {
          hint: `it has ${[...run.steps.keys()].join(", ")}`,
        });
      if (from === undefined && run.state === "completed")
        throw new RunStateError(`run ${runId} has completed`, { hint: "name a step to begin from" });
      return { kind: "retry_requested", by, ...(from !== undefined && { from }) };
    });
  }

  async #answer(runId: string, answer: Answer, by: string): Promise<void> {
    const { step: id, approved, comment = "", value } = parseInput(answerSchema, answer, "answer");
    await this.#ask(runId, (run) => {
      const step = run.steps.get(id);
      if (!step || step.state !== "asking" || step.answer) {
        const asking = [...run.steps.values()].filter((one) => one.state === "asking" && !one.answer);
        const hint =
          asking.length === 0 ? "no step does" : `these do: ${asking.map((one) => one.step.id).join(", ")}`;
        throw new RunStateError(`step '${id}' of run ${runId} does not wait for an answer`, { hint });
      }
      return { kind: "answered", step: id, approved, comment, by, ...(value !== undefined && { value }) };
    });
  }

  async #explain(runId: string): Promise<RunExplanation> {
    const row = await this.#store.get(runId);
    const run = row && (await loadRun(this.#store, runId));
    if (!row || !run) throw new RunNotFoundError(runId);
    return explainRun(row, run, { queue: this.#queue, ownerOf: this.#ownerOf, nowMs: this.#clock.epochMs() });
  }

  async #replay(runId: string): Promise<ReplayReport> {
    const events = await wholeLog(this.#store, runId);
    if (events.length === 0) throw new RunNotFoundError(runId);
    return replay(runId, events);
  }

  async #required(runId: string): Promise<RunView> {
    const view = await this.#get(runId);
    if (!view) throw new RunNotFoundError(runId);
    return view;
  }

  /** Adds what `ask` makes of a run to its log, anew as long as somebody else is quicker. */
  async #ask(runId: string, ask: (run: Run) => RunHappening | undefined): Promise<void> {
    this.#requireOpen();
    for (let conflicts = 0; ; conflicts++) {
      const run = await loadRun(this.#store, runId);
      if (!run) throw new RunNotFoundError(runId);
      const happening = ask(run);
      if (!happening) return;
      const nowMs = this.#clock.epochMs();
      const { length } = run;
      run.apply(happening, nowMs);
      try {
        await this.#store.append(runId, numbered([happening], length, nowMs), changeOf(run), nowMs);
      } catch (error) {
        if (!hasCode(error, "E_RUN_CONFLICT") || conflicts >= MAX_CONFLICTS) throw error;
        continue;
      }
      this.#conductor.grown(runId);
      this.#bells.ring(runId);
      return;
    }
  }

  #requireOpen(): void {
    if (this.#stop.signal.aborted)
      throw new ShuttingDownError("the node is shutting down; its runs go on when it is back");
  }
}

/** Every call starts here: nothing happens for a caller who has given up, and every failure is a rejection. */
async function begin<T>(options: CallOptions | undefined, work: () => Promise<T>): Promise<T> {
  throwIfAborted(options?.signal);
  return work();
}

/** 32 hexadecimal digits. */
function newRunId(): string {
  return randomUUID().replaceAll("-", "");
}
