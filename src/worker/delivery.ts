/**
 * Results on their way to the queues that own their tasks.
 *
 * A result is offered at once. If its queue cannot be reached soon, it goes to the durable outbox, and a task here
 * offers it again: when the queue is known to be reachable, else after growing pauses. Deliveries are fenced by the
 * lease, so a result that comes too late is refused by the queue and dropped here. One body is in memory at a time.
 */
import type { Clock } from "../clock.ts";
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abortable,
  failAfter,
  moveOnAfter,
  rethrowIfCancelled,
  shield,
  sleep,
  suspend,
} from "../nursery/index.ts";
import type { OutboxEntry, OutboxStore } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import { DEFAULT_RETENTION_MS } from "../task/timekeeper.ts";
import { verdictOf } from "./queue-failure.ts";

/** How long a fresh result is offered before it goes to the outbox. */
const SOON_MS = 3000;
/** The pause between two offers of a fresh result. */
const SOON_PAUSE_MS = 300;
/** How long one offer may take. */
const OFFER_LIMIT_MS = 10_000;
/** How long writing to the outbox may take when everything is being stopped. */
const PUT_LIMIT_MS = 10_000;
/** Pauses between offers of a queue's waiting results: the first at most, and the longest. */
const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS: number = 5 * 60_000;
/** How many of the results that wait for one queue are looked at together; without their bodies. */
const PAGE = 200;
/** A result that could not be delivered for so long is dropped: its queue would have forgotten the task, too. */
const MAX_AGE_MS: number = DEFAULT_RETENTION_MS;

/** Options of {@link Delivery}. */
export interface DeliveryOptions {
  readonly outbox: OutboxStore;
  /** The queue that results of this name belong to. May throw if it is not known now. */
  readonly outboxQueue: (name: string) => TaskQueue;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
}

/** When a queue that did not answer is tried again. */
interface Pause {
  readonly failures: number;
  readonly untilMs: number;
}

/** Delivers results, now or later. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #pauses = new Map<string, Pause>();
  #wake: (() => void) | undefined;
  #news = true;
  /** How many waiting results were delivered, and how many came too late or were refused. */
  delivered = 0;
  dropped = 0;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /**
   * Offers a fresh result to its queue, and puts it into the outbox if that does not succeed soon, also when cancelled.
   *
   * @param mayWait - asked after each failure: false means not to try again
   */
  async deliver(
    entry: OutboxEntry,
    queue: TaskQueue,
    mayWait: () => boolean,
  ): Promise<"accepted" | "lost" | "outboxed"> {
    let settled: "accepted" | "lost" | undefined;
    try {
      await moveOnAfter(SOON_MS, async () => {
        settled = await this.#offer(entry, queue);
        while (settled === undefined && mayWait()) {
          await sleep(SOON_PAUSE_MS);
          settled = await this.#offer(entry, queue);
        }
      });
    } finally {
      if (settled === undefined) {
        await shield(PUT_LIMIT_MS, () => this.#options.outbox.put(entry));
        this.#options.logger.info(
          { queue: entry.queue, taskId: entry.lease.taskId },
          "a result waits in the outbox",
        );
        this.#awake();
      }
    }
    return settled ?? "outboxed";
  }

  /** Says that the queue `name` answers: what waits for it is offered at once. */
  reachable(name: string): void {
    if (this.#pauses.delete(name)) this.#awake();
  }

  /** Delivers what waits, also from earlier processes, until the enclosing scope is cancelled. */
  async run(): Promise<never> {
    for (;;) {
      this.#news = false;
      const nextMs = await this.#roundOrLater();
      const waitMs = nextMs === undefined ? Number.POSITIVE_INFINITY : nextMs - this.#options.clock.now();
      if (waitMs === Number.POSITIVE_INFINITY) await this.#untilNews();
      else await moveOnAfter(Math.max(0, waitMs), () => this.#untilNews());
    }
  }

  /** An outbox that fails (a full disk) must not end the worker. */
  async #roundOrLater(): Promise<number | undefined> {
    try {
      return await this.#round();
    } catch (error) {
      rethrowIfCancelled(error);
      this.#options.logger.error(errorFacts(error), "the outbox fails; it is tried again");
      return this.#options.clock.now() + RETRY_CAP_MS;
    }
  }

  /** Offers everything that is not paused. @returns when the next pause ends; undefined if nothing waits */
  async #round(): Promise<number | undefined> {
    const { clock, outbox } = this.#options;
    const times: number[] = [];
    for (const queue of await outbox.queues()) {
      await this.#dropOld(queue);
      if ((this.#pauses.get(queue)?.untilMs ?? 0) <= clock.now()) await this.#offerAllOf(queue);
      const pause = this.#pauses.get(queue);
      if (pause) times.push(pause.untilMs);
    }
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Offers what waits for a queue, one after the other, until it is empty or does not answer: then it is paused. */
  async #offerAllOf(queue: string): Promise<void> {
    const { logger, outbox, outboxQueue } = this.#options;
    for (;;) {
      const keys = await outbox.keys(queue, PAGE);
      for (const { lease } of keys) {
        const entry = await outbox.get(queue, lease);
        if (!entry) continue;
        const settled = await this.#offer(entry, () => outboxQueue(queue));
        if (settled === undefined) {
          this.#pause(queue);
          return;
        }
        this.#pauses.delete(queue);
        await outbox.remove(queue, lease);
        if (settled === "accepted") this.delivered++;
        else this.dropped++;
        logger.info({ queue, taskId: lease.taskId, settled }, "a waiting result has left the outbox");
      }
      if (keys.length < PAGE) {
        this.#pauses.delete(queue);
        return;
      }
    }
  }

  async #dropOld(queue: string): Promise<void> {
    const { clock, logger, outbox } = this.#options;
    for (;;) {
      const keys = await outbox.keys(queue, PAGE);
      const old = keys.filter(({ createdAtMs }) => createdAtMs <= clock.epochMs() - MAX_AGE_MS);
      for (const { lease, createdAtMs } of old) {
        await outbox.remove(queue, lease);
        this.dropped++;
        logger.warn(
          { queue, taskId: lease.taskId, createdAtMs, maxAgeMs: MAX_AGE_MS },
          "a result could not be delivered for too long and is dropped",
        );
      }
      if (old.length < PAGE) return;
    }
  }

  #pause(queue: string): void {
    const { clock, random } = this.#options;
    const failures = (this.#pauses.get(queue)?.failures ?? 0) + 1;
    const ceiling = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (failures - 1));
    this.#pauses.set(queue, { failures, untilMs: clock.now() + ceiling * (0.5 + random() / 2) });
  }

  /** @returns undefined if it is worth another try */
  async #offer(
    entry: OutboxEntry,
    queue: TaskQueue | (() => TaskQueue),
  ): Promise<"accepted" | "lost" | undefined> {
    const { logger } = this.#options;
    try {
      const target = typeof queue === "function" ? queue() : queue;
      await failAfter(OFFER_LIMIT_MS, () => abortable((signal) => settle(entry, target, signal)));
      return "accepted";
    } catch (error) {
      rethrowIfCancelled(error);
      const facts = { queue: entry.queue, taskId: entry.lease.taskId, ...errorFacts(error) };
      const verdict = verdictOf(error);
      if (verdict === "passing") {
        logger.debug(facts, "a result could not be delivered this time");
        return undefined;
      }
      if (verdict === "lost") logger.info(facts, "a result came too late and is dropped");
      else return this.#refused(entry, queue, error);
      return "lost";
    }
  }

  /** A result that the queue will never take (too large, not JSON) fails its task, so that its submitter learns why. */
  async #refused(
    entry: OutboxEntry,
    queue: TaskQueue | (() => TaskQueue),
    error: unknown,
  ): Promise<"lost" | undefined> {
    const { code, message, failureClass } = errorFacts(error);
    this.#options.logger.error(
      { queue: entry.queue, taskId: entry.lease.taskId, code, message },
      "a result was refused",
    );
    if (entry.outcome.kind === "failed") return "lost";
    const failure = {
      error: { code, message: `the result was refused: ${message}`, failureClass },
      retry: false,
    };
    const failed = await this.#offer({ ...entry, outcome: { kind: "failed", failure } }, queue);
    return failed === undefined ? undefined : "lost";
  }

  #awake(): void {
    this.#news = true;
    this.#wake?.();
  }

  async #untilNews(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#wake = resume;
      if (this.#news) resume();
      return fail;
    });
  }
}

function settle({ lease, outcome }: OutboxEntry, queue: TaskQueue, signal: AbortSignal): Promise<void> {
  return outcome.kind === "completed"
    ? queue.complete(lease, outcome.result, { signal })
    : queue.fail(lease, outcome.failure, { signal });
}
