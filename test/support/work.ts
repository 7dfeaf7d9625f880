/** A queue, a worker on it, and a line between them that can be cut. */
import assert from "node:assert/strict";
import { UnreachableError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { openMemoryStores, type Stores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { OutboxEntry } from "../../src/task/outbox.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import type { NewTask, Task } from "../../src/task/task.ts";
import { type Handler, startWorker, type Worker, type WorkerOptions } from "../../src/worker/index.ts";
import { TestClock } from "./clock.ts";

/** How long leases hold. */
export const LEASE_MS = 9000;

/** A handler of type `t` whose ends the test decides. */
export interface Controlled {
  readonly handler: Handler;
  /** The tasks it was given, in order. */
  readonly started: readonly Task[];
  /** The ids of those that were stopped. */
  readonly stops: readonly string[];
  /** Ends the oldest that is in work. */
  readonly finish: (result?: object) => void;
}

/** Makes a {@link Controlled} handler. */
export function controlled(): Controlled {
  const started: Task[] = [];
  const stops: string[] = [];
  const gates: PromiseWithResolvers<Record<string, unknown>>[] = [];
  const handler: Handler = {
    type: "t",
    aliases: [],
    async run(task, { signal }) {
      started.push(task);
      const gate = Promise.withResolvers<Record<string, unknown>>();
      gates.push(gate);
      signal.addEventListener("abort", () => {
        stops.push(task.id);
        gate.reject(signal.reason);
      });
      return gate.promise;
    },
  };
  return { handler, started, stops, finish: (result = {}) => gates.shift()?.resolve({ ...result }) };
}

/** Everything around a worker, on a clock of its own. */
export class World {
  readonly clock: TestClock = new TestClock();
  readonly host: NurseryHost = openHost({ clock: this.clock });
  readonly stores: Stores = openMemoryStores();
  /** The queue, as its owner has it. */
  readonly queue: TaskQueue = this.openQueue(this.stores);
  /** The same behind a line that can be cut, as a peer's is. */
  readonly away: TaskQueue = this.#behindLine(this.queue);
  #up = true;
  #cutoff = new AbortController();

  openQueue(stores: Stores): TaskQueue {
    return openLocalQueue({
      store: stores.tasks,
      nursery: this.host.nursery,
      clock: this.clock,
      random: () => 0.5,
    }).queue;
  }

  /** Starts a worker on the queue, or on what `more` says. */
  start(handlers: readonly Handler[], more: Partial<WorkerOptions> = {}): Worker {
    return startWorker({
      nursery: this.host.nursery,
      clock: this.clock,
      logger: silentLogger,
      workerId: "w",
      sources: [{ name: "local", queue: this.queue }],
      handlers,
      skills: () => [],
      concurrency: 4,
      leaseMs: LEASE_MS,
      outbox: this.stores.outbox,
      outboxQueue: () => this.queue,
      random: () => 0.5,
      ...more,
    });
  }

  /** Starts a worker at the far end of the line. */
  startAway(handlers: readonly Handler[], more: Partial<WorkerOptions> = {}): Worker {
    return this.start(handlers, {
      sources: [{ name: "peer", queue: this.away }],
      outboxQueue: () => this.away,
      ...more,
    });
  }

  async submit(task: Partial<NewTask> = {}): Promise<string> {
    const [receipt] = await this.queue.submit([{ type: "t", payload: {}, ...task }]);
    assert.ok(receipt);
    return receipt.taskId;
  }

  async read(id: string): Promise<Task> {
    const found = await this.queue.get(id);
    assert.ok(found);
    return found;
  }

  /** What waits in the outbox for a queue. */
  async outboxed(queue: string): Promise<readonly OutboxEntry[]> {
    const { outbox } = this.stores;
    const entries = (await outbox.keys(queue, 1000)).map(({ lease }) => outbox.get(queue, lease));
    return (await Promise.all(entries)).filter((entry) => entry !== undefined);
  }

  /** Cuts the line: calls under way and later ones fail. */
  cut(): void {
    this.#up = false;
    this.#cutoff.abort();
  }

  mend(): void {
    this.#up = true;
    this.#cutoff = new AbortController();
  }

  async close(): Promise<void> {
    await this.host.close();
    await this.stores.close();
  }

  #behindLine(inner: TaskQueue): TaskQueue {
    const pass = async <T>(call: (signal: AbortSignal) => Promise<T>, given?: AbortSignal): Promise<T> => {
      const away = new UnreachableError("the peer is away");
      if (!this.#up) throw away;
      const { signal } = this.#cutoff;
      try {
        return await call(given ? AbortSignal.any([given, signal]) : signal);
      } catch (error) {
        throw signal.aborted ? away : error;
      }
    };
    return {
      ...inner,
      claim: (request, options) => pass((signal) => inner.claim(request, { signal }), options?.signal),
      ready: (request, options) => pass((signal) => inner.ready(request, { signal }), options?.signal),
      renew: (lease, leaseMs) => pass(() => inner.renew(lease, leaseMs)),
      note: (lease, note) => pass(() => inner.note(lease, note)),
      complete: (lease, result) => pass(() => inner.complete(lease, result)),
      fail: (lease, failure) => pass(() => inner.fail(lease, failure)),
      release: (lease, reason) => pass(() => inner.release(lease, reason)),
    };
  }
}
