/** One place among the processes of a node, and whichever process has it: started, watched, replaced, started again. */
import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { slotEnvironment } from "../../config.ts";
import { UnreachableError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { abandonOnCancel, moveOnAfter, pauseAfter, shield, sleep } from "../../nursery/index.ts";
import { type Assignment, type Order, type ReadyFacts, reportIn } from "./message.ts";

/** How long a process may take to be ready: on a machine that is busy, or with a large database to check. */
const READY_MS = 120_000;
/** Pauses between starts of a process that crashes: the first at most, and the longest. */
const RESTART = { baseMs: 200, maxMs: 30_000 };
/** A process that ran this long had no trouble starting. */
const HEALTHY_MS = 60_000;
/** What an end may take beyond the drain time, before the process is killed. */
const END_GRACE_MS = 35_000;

/** What a place needs. */
export interface SlotOptions {
  readonly assignment: Assignment;
  readonly drainMs: number;
  readonly logger: Logger;
  /** Told when the process is ready, before {@link Slot.give} may be called for it. */
  readonly onReady: () => void;
}

/** A process and what became of it. */
interface Life {
  readonly child: ChildProcess;
  /** Resolves with the facts when it is ready; never rejects, as its end is told by {@link Life.ended}. */
  readonly ready: Promise<ReadyFacts>;
  /** How it ended, in words. */
  readonly ended: Promise<string>;
}

/** A place. */
export class Slot {
  readonly #options: SlotOptions;
  #life: Life | undefined;
  #state: "starting" | "ready" | "ending" = "starting";
  #facts: ReadyFacts | undefined;
  /** Of the process that was replaced, for the next one. */
  #sessions: Assignment["sessions"] = [];
  #next = Promise.withResolvers<ReadyFacts>();
  /** It ends because it was told to. */
  #asked = false;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** Whether it takes connections. */
  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Of the process that was ready last. */
  get facts(): ReadyFacts | undefined {
    return this.#facts;
  }

  /** Hands a connection to the process, which must be ready. */
  give(connection: Socket): void {
    this.#tell({ kind: "connection" }, connection);
  }

  /** Resolves when a process is ready that was not yet when this was called. */
  async nextReady(): Promise<ReadyFacts> {
    return abandonOnCancel(this.#next.promise);
  }

  /**
   * Replaces the process: ends the one that runs once its connections have ended, and starts another.
   *
   * @throws UnreachableError if the new one is not ready in time
   */
  async replace(): Promise<void> {
    const { drainMs } = this.#options;
    const next = this.nextReady();
    this.#asked = true;
    this.#state = "ending";
    this.#tell({ kind: "replace" });
    if (this.#life) this.#killLate(this.#life);
    const outcome = await moveOnAfter(drainMs + END_GRACE_MS + READY_MS, () => next);
    if (!outcome.ok)
      throw new UnreachableError(`process ${this.#options.assignment.slot} is not ready again`);
  }

  /** Keeps a process running until the enclosing scope is cancelled, and then ends it. @throws UnreachableError if the first never was ready */
  async run(): Promise<never> {
    const { logger, assignment } = this.#options;
    for (let crashes = 0; ;) {
      const startedAt = performance.now();
      const how = await this.#live();
      if (this.#asked) {
        crashes = 0;
        continue;
      }
      crashes = performance.now() - startedAt >= HEALTHY_MS ? 1 : crashes + 1;
      if (this.#facts === undefined)
        throw new UnreachableError(`process ${assignment.slot} did not start: ${how}`);
      const pauseMs = pauseAfter(crashes, RESTART);
      logger.error(
        { slot: assignment.slot, how, pauseMs },
        "a process of the node ended by itself; it is started again",
      );
      await sleep(pauseMs);
    }
  }

  /** From the start of a process to its end. @returns how it ended */
  async #live(): Promise<string> {
    this.#asked = false;
    this.#state = "starting";
    const life = this.#start();
    this.#life = life;
    try {
      return await abandonOnCancel(this.#asLong(life));
    } finally {
      this.#state = "ending";
      await shield(this.#options.drainMs + 2 * END_GRACE_MS, () => this.#end(life));
      this.#life = undefined;
    }
  }

  #start(): Life {
    const { assignment } = this.#options;
    const [, program = "", ...args] = process.argv;
    const child = fork(program, args, {
      env: slotEnvironment(assignment.slot),
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const ready = Promise.withResolvers<ReadyFacts>();
    const ended = Promise.withResolvers<string>();
    child.on("message", (message) => {
      const report = reportIn(message);
      if (report.kind === "ready") ready.resolve(report.facts);
      else this.#sessions = report.sessions;
    });
    child.on("error", (error) => this.#options.logger.debug({ err: error }, "a process cannot be talked to"));
    child.once("exit", (code, signal) => ended.resolve(signal ?? `exit code ${code}`));
    child.once("error", (error) => {
      if (child.pid === undefined) ended.resolve(error.message);
    });
    const life = { child, ready: ready.promise, ended: ended.promise };
    this.#send(life, { kind: "begin", share: { ...assignment, sessions: this.#sessions } });
    this.#sessions = [];
    return life;
  }

  /** Until it ends. */
  async #asLong({ ready, ended, child }: Life): Promise<string> {
    const tooLate = setTimeout(() => child.kill("SIGKILL"), READY_MS);
    const first = await Promise.race([ready, ended]);
    clearTimeout(tooLate);
    if (typeof first === "string") return first;
    this.#facts = first;
    this.#state = this.#asked ? "ending" : "ready";
    this.#next.resolve(first);
    this.#next = Promise.withResolvers<ReadyFacts>();
    if (this.isReady) this.#options.onReady();
    else this.#tell({ kind: "replace" });
    return ended;
  }

  /** One that was told to end and does not is killed. */
  #killLate({ child }: Life): void {
    const kill = setTimeout(() => child.kill("SIGKILL"), this.#options.drainMs + END_GRACE_MS);
    child.once("exit", () => clearTimeout(kill));
  }

  async #end(life: Life): Promise<void> {
    if (life.child.exitCode === null && life.child.signalCode === null) this.#killLate(life);
    this.#send(life, { kind: "end" });
    await life.ended;
  }

  #tell(order: Order, connection?: Socket): void {
    if (this.#life) this.#send(this.#life, order, connection);
    else connection?.destroy();
  }

  #send({ child }: Life, order: Order, connection?: Socket): void {
    if (!child.connected) connection?.destroy();
    else
      child.send(order, connection, {}, (error) => {
        if (error) connection?.destroy();
      });
  }
}
