/**
 * Many callers' operations in one transaction.
 *
 * While a transaction of one kind is under way, the next operations of that kind gather, and go together in the next
 * one. An operation that cannot be with others fails alone: they are told apart by running each by itself.
 */
import { isConnectionLoss } from "./failure.ts";
import { McpError } from "../../errors.ts";

/** More operations than this in one transaction gain nothing. */
export const MAX_BATCH = 256;

/** An operation that somebody waits for. */
export interface Pending {
  /** Of two operations with the same key the second waits for the next transaction. */
  readonly key?: string | undefined;
  reject(error: unknown): void;
}

/** Tells a caller what became of its operation, once that is safe. */
export type Answer = () => void;

/** Gathers operations of one kind. */
export class Batches<Op extends Pending> {
  readonly #run: (batch: readonly Op[]) => Promise<readonly Answer[]>;
  readonly #fits: (first: Op, next: Op) => boolean;
  #queue: Op[] = [];
  #running: Promise<void> | undefined;

  /**
   * @param run - does a batch; all of it, or it throws and nothing of it was done
   * @param fits - whether an operation may be in one batch with the first of it; default: always
   */
  constructor(
    run: (batch: readonly Op[]) => Promise<readonly Answer[]>,
    fits: (first: Op, next: Op) => boolean = () => true,
  ) {
    this.#run = run;
    this.#fits = fits;
  }

  add(op: Op): void {
    this.#queue.push(op);
    this.#running ??= this.#work();
  }

  /** Until all that was asked has been answered. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #work(): Promise<void> {
    // What is asked in the same turn of the event loop goes together.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    while (this.#queue.length > 0) await this.#perform(this.#take());
    this.#running = undefined;
  }

  async #perform(batch: readonly Op[]): Promise<void> {
    try {
      for (const answer of await this.#run(batch)) answer();
    } catch (error) {
      if (batch.length > 1 && mayBeOnes(error)) for (const op of batch) await this.#perform([op]);
      else for (const op of batch) op.reject(error);
    }
  }

  #take(): Op[] {
    const [first] = this.#queue;
    if (!first) return [];
    const batch: Op[] = [];
    const left: Op[] = [];
    const keys = new Set<string>();
    for (const op of this.#queue) {
      const { key } = op;
      const free = key === undefined || !keys.has(key);
      if (key !== undefined) keys.add(key);
      if (free && batch.length < MAX_BATCH && this.#fits(first, op)) batch.push(op);
      else left.push(op);
    }
    this.#queue = left;
    return batch;
  }
}

/** Whether a failure may be the fault of one operation: not if the server is away, slow or full. */
function mayBeOnes(error: unknown): boolean {
  if (error instanceof McpError) return error.failureClass === "invalid";
  return !isConnectionLoss(error);
}
