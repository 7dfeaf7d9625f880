/** A worker that runs containers, on a queue in memory and a real engine. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../../src/logger.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { openMemoryStores, type Stores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import type { Task } from "../../src/task/task.ts";
import { systemClock } from "../../src/clock.ts";
import {
  type ContainerPolicy,
  type Containers,
  createHandlers,
  openContainers,
  startWorker,
  type Worker,
} from "../../src/worker/index.ts";
import type { TestEngine } from "./engine.ts";

const MIB = 1024 * 1024;
/** Short, since a task that was cancelled is known at the next renewal. */
const LEASE_MS = 1500;

/** What the tests' containers may have unless a test says otherwise. */
export const POLICY: ContainerPolicy = {
  images: ["localhost/box"],
  repositories: [],
  pull: "never",
  networks: [],
  mounts: [],
  devices: [],
  gpus: false,
  root: false,
  buildRun: false,
  memoryBytes: 64 * MIB,
  cpus: 1,
  pids: 32,
  tmpBytes: 4 * MIB,
  timeoutMs: 60_000,
  shellImage: "localhost/box",
};

/** A worker with its queue. */
export class ContainerWorld {
  readonly host: NurseryHost = openHost({ clock: systemClock });
  readonly stores: Stores = openMemoryStores();
  readonly queue: TaskQueue;
  readonly folder: string = mkdtempSync(join(tmpdir(), "mcpp-box-"));
  #worker: Worker | undefined;
  #containers: Containers | undefined;

  constructor() {
    this.queue = openLocalQueue({
      store: this.stores.tasks,
      nursery: this.host.nursery,
      clock: systemClock,
    }).queue;
  }

  /** Starts a worker under a policy. */
  async start(engine: TestEngine, policy: Partial<ContainerPolicy> = {}): Promise<Worker> {
    const { nursery } = this.host;
    const common = { nursery, clock: systemClock, logger: silentLogger };
    const containers = await nursery.run(() =>
      openContainers({
        ...common,
        policy: { ...POLICY, ...policy },
        socket: engine.socket,
        dataDir: this.folder,
      }),
    );
    this.#containers = containers;
    this.#worker = startWorker({
      ...common,
      workerId: "w",
      sources: [{ name: "local", queue: this.queue }],
      handlers: createHandlers({ callTool: async () => ({}), containers }),
      skills: () => [],
      concurrency: 2,
      leaseMs: LEASE_MS,
      outbox: this.stores.outbox,
      outboxQueue: () => this.queue,
    });
    return this.#worker;
  }

  async submit(type: string, payload: Record<string, unknown>): Promise<string> {
    const [receipt] = await this.queue.submit([{ type, payload: { ...payload }, maxAttempts: 1 }]);
    assert.ok(receipt);
    return receipt.taskId;
  }

  /** Submits a task and waits until it has ended. */
  async done(type: string, payload: Record<string, unknown>): Promise<Task> {
    const id = await this.submit(type, payload);
    const { task, finished } = await this.queue.wait(id, 60_000);
    assert.ok(finished, `${type} ${JSON.stringify(payload)} did not end: ${JSON.stringify(task.progress)}`);
    return task;
  }

  async close(): Promise<void> {
    await this.host.nursery.run(async () => {
      await this.#worker?.drain(0);
      await this.#containers?.close();
    });
    await this.host.close();
    await this.stores.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
