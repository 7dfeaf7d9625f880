/**
 * The queue on every engine against a simple model, killed at any moment.
 *
 * A crash takes a copy of the files at that instant, which is what `kill -9` leaves: what was written is in the
 * system's cache, what was not is gone. MCPP_MODEL_RUNS sets how many histories in memory, a fifth of them on disk, MCPP_SEED which.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { openMemoryStores, openSqliteStores, type StoreEngine, type Stores } from "../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../src/task/local.ts";
import type { TaskQueue } from "../../src/task/queue.ts";
import { tempFolder } from "../store/temp-folder.ts";
import { settled, TestClock } from "../support/clock.ts";
import * as commands from "./commands.ts";
import { Model } from "./model.ts";

const RUNS = Number(process.env["MCPP_MODEL_RUNS"] ?? 60);
/** A history on the disk takes hundreds of times as long as one in memory, most of it fsync. */
const RUNS_ON_DISK: number = Math.ceil(RUNS / 5);
const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);

const type = fc.constantFrom("a", "b", "c");
const which = fc.nat(40);
const fresh = fc.record({
  type,
  priority: fc.integer({ min: 1, max: 3 }),
  delayMs: fc.constantFrom(0, 0, 300, 2000),
});
const types = fc.subarray(["a", "b", "c"]);
const claims = fc.tuple(types, fc.integer({ min: 1, max: 4 }));

const anything = [
  fresh.map(commands.submit),
  fresh.map(commands.submit),
  claims.map(([wanted, limit]) => commands.claim(wanted, limit)),
  claims.map(([wanted, limit]) => commands.claim(wanted, limit)),
  which.map(commands.complete),
  which.map(commands.resubmit),
  which.map(commands.renew),
  fc.tuple(which, fc.boolean()).map(([one, retry]) => commands.fail(one, retry)),
  which.map(commands.release),
  which.map(commands.cancel),
  fc.constantFrom(1, 400, 999, 1001).map(commands.pass),
  fc.constant(commands.crash()),
  fresh.map(commands.crashInSubmit),
  which.map(commands.crashInComplete),
];

/** A queue on an engine whose files can be copied at any instant, or on none. */
class Real implements commands.Real {
  readonly #clock = new TestClock();
  readonly #host: NurseryHost = openHost({ clock: this.#clock });
  readonly #folder = tempFolder();
  #generation = 0;
  #stores: Stores;
  #local: LocalTaskQueue;
  readonly crash: (() => Promise<void>) | undefined;

  constructor(stores: Stores, engine: StoreEngine) {
    this.#stores = stores;
    this.#local = this.#openLocal(stores);
    this.crash = engine === "sqlite" ? () => this.#crash() : undefined;
  }

  static async open(engine: StoreEngine): Promise<Real> {
    const first = tempFolder();
    if (engine === "memory") return new Real(openMemoryStores(), engine);
    const real = new Real(await openSqliteStores({ path: join(first.path, "0.db") }), engine);
    real.#paths.push(join(first.path, "0.db"));
    real.#folders.push(first);
    return real;
  }

  readonly #paths: string[] = [];
  readonly #folders: Disposable[] = [this.#folder];

  get queue(): TaskQueue {
    return this.#local.queue;
  }

  async pass(ms: number): Promise<void> {
    this.#clock.jump(ms);
    await settled();
    // Settles what is due, whether or not a timer did already.
    await this.queue.claim({ workerId: "nobody", types: ["none"] });
  }

  async close(): Promise<void> {
    await this.#local.stop();
    await this.#host.close();
    await this.#stores.close();
    for (const folder of this.#folders) folder[Symbol.dispose]();
  }

  #openLocal(stores: Stores): LocalTaskQueue {
    return openLocalQueue({ store: stores.tasks, nursery: this.#host.nursery, clock: this.#clock });
  }

  async #crash(): Promise<void> {
    const before = this.#paths.at(-1) ?? "";
    const path = join(this.#folder.path, `${++this.#generation}.db`);
    for (const end of ["", "-wal"]) copyFileSync(`${before}${end}`, `${path}${end}`);
    this.#paths.push(path);
    await this.#local.stop();
    await this.#stores.close();
    this.#stores = await openSqliteStores({ path });
    this.#local = this.#openLocal(this.#stores);
  }
}

describe("any history of a queue", { timeout: 3_600_000 }, () => {
  const engines: readonly StoreEngine[] = ["memory", "sqlite"];
  for (const engine of engines) {
    const runs = engine === "memory" ? RUNS : RUNS_ON_DISK;
    it(`is what the rules say, on the engine ${engine}, ${runs} times`, async () => {
      const histories = fc.commands(anything, { maxCommands: 60, size: "max" });
      await fc.assert(
        fc.asyncProperty(histories, async (history) => {
          const model = new Model();
          const real = await Real.open(engine);
          try {
            await fc.asyncModelRun(() => ({ model, real }), history);
            await commands.compare(model, real.queue);
          } finally {
            await real.close();
          }
        }),
        { numRuns: runs, seed: SEED },
      );
    });
  }
});
