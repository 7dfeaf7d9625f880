/**
 * One queue that a worker claims from: a loop that survives the queue's absence.
 *
 * It waits for work without taking any, then for slots in line with other sources, and then claims just as many tasks.
 * A claim that waited at the queue would either hold slots that others need, or bring tasks that there is no slot for.
 */
import type { Clock } from "../clock.ts";
import { errorFacts, hasCode } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abortable,
  type CancelScope,
  cancelScope,
  failAfter,
  moveOnAfter,
  rethrowIfCancelled,
  shield,
  sleep,
  suspend,
} from "../nursery/index.ts";
import { type ClaimedTask, MAX_CLAIM_BATCH, MAX_SKILLS, type TaskQueue } from "../task/queue.ts";
import type { Room } from "./slots.ts";

/** How long one look waits at the queue: under the limits of the wires, and long enough to cost nothing. */
const READY_WAIT_MS = 25_000;
/** A queue that has not answered after this much more is taken for gone. */
const ANSWER_SLACK_MS = 10_000;
/** How long a claim, which holds slots and does not wait at the queue, may take. */
const CLAIM_LIMIT_MS = 5000;
/** A vain answer that comes sooner was no wait: the queue cannot, so it is asked at this pace. */
const POLL_PAUSE_MS = 500;
/** Pauses between claims from a queue that is away: the first at most, and the longest. */
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 5000;
/** How long handing back tasks that there is no room for may take. */
const RELEASE_LIMIT_MS = 5000;

/** A queue by the name that its results carry in the outbox. */
export interface QueueSource {
  /** `local`, or a peer id. */
  readonly name: string;
  readonly queue: TaskQueue;
}

/** What became of the tasks of one source. */
export interface SourceStats {
  readonly state: "up" | "down";
  readonly claimed: number;
  readonly completed: number;
  readonly failed: number;
  readonly lost: number;
  readonly released: number;
  /** Results that had to be put away for later. */
  readonly outboxed: number;
}

/** What a claim loop needs. */
export interface ClaimLoopOptions {
  readonly source: QueueSource;
  readonly slots: Room;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  readonly workerId: string;
  /** What it takes now; never empty, which would mean any. */
  readonly types: () => readonly string[];
  readonly skills: () => readonly string[];
  readonly leaseMs: number;
  /** Done before each claim, with a slot already taken. */
  readonly beforeClaim: () => Promise<void>;
  /** Told after each answer. */
  readonly onAnswer: () => void;
  /** Starts work on a task, for which a slot has been taken. */
  readonly begin: (claimed: ClaimedTask) => void;
}

/** Claims from one source. */
export class ClaimLoop {
  readonly source: QueueSource;
  readonly #options: ClaimLoopOptions;
  #scope: CancelScope | undefined;
  #look: CancelScope | undefined;
  #wake: (() => void) | undefined;
  #stopped = false;
  #failures = 0;
  /** The last claim brought as much as it asked for, so there may be more. */
  #more = false;
  /** The queue cannot tell whether it has work. */
  #blind = false;
  /** Of the tasks claimed here. */
  readonly counts = { claimed: 0, completed: 0, failed: 0, lost: 0, released: 0, outboxed: 0 };

  constructor(options: ClaimLoopOptions) {
    this.source = options.source;
    this.#options = options;
  }

  get stats(): SourceStats {
    return { state: this.#failures === 0 ? "up" : "down", ...this.counts };
  }

  /** Claims until {@link stop}. */
  async run(): Promise<void> {
    await cancelScope(async (scope) => {
      this.#scope = scope;
      if (this.#stopped) scope.cancel("no more claims");
      for (;;) {
        try {
          if (this.#more || (await this.#untilReady())) await this.#claim();
        } catch (error) {
          rethrowIfCancelled(error);
          await this.#failed(error);
        }
      }
    });
  }

  /** Ends the loop. A claim under way is waited for, and what it brings is handed back. */
  stop(): void {
    this.#stopped = true;
    this.#scope?.cancel("no more claims");
  }

  /** Looks anew: the skills have changed, or the queue is known to be back. */
  refresh(): void {
    this.#look?.cancel("looking anew");
    this.#wake?.();
  }

  /** Waits for work without a slot, so that others can use it. @returns whether there may be some */
  async #untilReady(): Promise<boolean> {
    if (this.#blind) {
      await moveOnAfter(POLL_PAUSE_MS, () => this.#untilWoken());
      return true;
    }
    const { source, clock } = this.#options;
    if (this.#wanted().types.length === 0) {
      await moveOnAfter(READY_WAIT_MS, () => this.#untilWoken());
      return false;
    }
    const askedAt = clock.now();
    const request = { ...this.#wanted(), waitMs: READY_WAIT_MS };
    try {
      const looked = await cancelScope((look) => {
        this.#look = look;
        return failAfter(READY_WAIT_MS + ANSWER_SLACK_MS, () =>
          abortable((signal) => source.queue.ready(request, { signal })),
        );
      });
      if (!looked.ok) return false;
      this.#answered();
      if (!looked.value && clock.now() - askedAt < POLL_PAUSE_MS) await sleep(POLL_PAUSE_MS);
      return looked.value;
    } catch (error) {
      // A peer that cannot tell: it is asked for tasks now and then.
      if (!hasCode(error, "E_METHOD_NOT_FOUND") && !hasCode(error, "E_NOT_SUPPORTED_BY_PEER")) throw error;
      this.#blind = true;
      return true;
    } finally {
      this.#look = undefined;
    }
  }

  /** Takes slots in its turn and claims as many tasks. */
  async #claim(): Promise<void> {
    const { slots, begin, beforeClaim } = this.#options;
    let unused = await slots.reserve(MAX_CLAIM_BATCH);
    try {
      await beforeClaim();
      const claimed = await this.#ask(unused);
      this.#answered();
      this.#more = claimed.length === unused;
      this.counts.claimed += claimed.length;
      // Never more than were asked for; a queue that gives more gets them back.
      const taken = this.#stopped || this.#scope?.cancelled === true ? [] : claimed.slice(0, unused);
      for (const task of taken) {
        begin(task);
        unused--;
      }
      const excess = claimed.slice(taken.length);
      if (excess.length > 0) await shield(RELEASE_LIMIT_MS, () => this.#release(excess));
    } finally {
      slots.give(unused);
    }
  }

  /** The answer is waited for also when the loop is stopped: it may bring tasks. */
  #ask(limit: number): Promise<readonly ClaimedTask[]> {
    const { source, workerId, leaseMs } = this.#options;
    this.#more = false;
    const wanted = this.#wanted();
    // Naming no types would mean "any".
    if (this.#scope?.cancelled === true || wanted.types.length === 0) return Promise.resolve([]);
    const request = { ...wanted, workerId, limit, leaseMs };
    return shield(CLAIM_LIMIT_MS, () => abortable((signal) => source.queue.claim(request, { signal })));
  }

  #wanted(): { readonly types: readonly string[]; readonly skills: readonly string[] } {
    const { types, skills } = this.#options;
    return { types: types(), skills: skills().slice(0, MAX_SKILLS) };
  }

  async #release(excess: readonly ClaimedTask[]): Promise<void> {
    const { source, logger } = this.#options;
    const reason = this.#stopped ? "the worker stops" : "the worker has no room left";
    const released = await abortable((signal) =>
      Promise.allSettled(excess.map((one) => source.queue.release(one.lease, reason, { signal }))),
    );
    this.counts.released += excess.length;
    const failed = released.find((one) => one.status === "rejected");
    if (failed)
      logger.warn(
        { source: source.name, ...errorFacts(failed.reason) },
        "tasks could not be handed back; their leases run out",
      );
  }

  #answered(): void {
    this.#options.onAnswer();
    if (this.#failures > 0)
      this.#options.logger.info(
        { source: this.source.name, failures: this.#failures },
        "a queue answers again",
      );
    this.#failures = 0;
  }

  async #failed(error: unknown): Promise<void> {
    const { source, logger, random } = this.#options;
    this.#failures++;
    this.#blind = false;
    if (this.#failures === 1) {
      const facts = { source: source.name, ...errorFacts(error) };
      // One that says that it is closing is not broken: our own at the end of the node, or a peer's.
      if (hasCode(error, "E_SHUTTING_DOWN")) logger.info(facts, "a queue is closing; it is tried again");
      else logger.warn(facts, "a queue does not answer; it is tried again");
    }
    const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (this.#failures - 1));
    await moveOnAfter(ceiling * (0.5 + random() / 2), () => this.#untilWoken());
  }

  async #untilWoken(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#wake = resume;
      return fail;
    });
  }
}
