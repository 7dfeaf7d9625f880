/**
 * The parent of a node of several processes: it holds the data folder and the port, and keeps the processes running.
 *
 * It accepts every connection itself and hands it to the processes in turn. So there is one port whatever happens to
 * them, connections wait while none is ready instead of being refused, and one that is being replaced is given no more. To
 * let all accept on one shared socket was rejected: the kernel gives most connections to one of them. `node:cluster` hands
 * them out as this does, but lets go of the port when the last process ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeConfig } from "../../config.ts";
import { openDataFolder } from "../../data-folder.ts";
import { ConfigError, errorFacts } from "../../errors.ts";
import { createLogger, type Logger } from "../../logger.ts";
import { openNursery, rethrowIfCancelled, suspend } from "../../nursery/index.ts";
import { listenAt, originOf, requireLoopback } from "../../transport/index.ts";
import { identityOf } from "../identity.ts";
import type { ReadyFacts } from "./message.ts";
import { FIRST } from "./share.ts";
import { Slot } from "./slot.ts";

/** Connections that wait for a process; more are closed. As many as one process would serve. */
const MAX_WAITING = 1024;

/** The node, when all of its processes are ready. */
export type ReadyNode = ReadyFacts;

/**
 * Runs a node of `config.processes` processes until the enclosing scope is cancelled. SIGHUP replaces them one by one.
 *
 * @param onReady - told when all of them are ready, and of each that was replaced
 * @throws ConfigError if the configuration is for one process only or the port cannot be had, StoreLockedError if another
 *   node has the data folder, UnreachableError if a process does not start
 */
export async function runProcesses(config: NodeConfig, onReady: (node: ReadyNode) => void): Promise<void> {
  const logger = createLogger(config.logLevel).child({ room: "processes" });
  requireShareable(config);
  await using open = new AsyncDisposableStack();
  const folder = await openDataFolder(config.dataDir);
  open.defer(() => folder.close());
  // Made here, so that no two processes make one.
  if (config.p2p) await identityOf(config.dataDir);
  const sockets = await mkdtemp(join(tmpdir(), "mcpp-"));
  open.defer(() => rm(sockets, { recursive: true, force: true }));
  const server = createServer({ pauseOnConnect: true });
  await listenAt(server, config.host, config.port);
  open.defer(() => closed(server));
  const desk = new Desk(server);
  const hangups = open.use(new Hangups());
  const origin = originOf(server, config.host);
  const slots = Array.from({ length: config.processes }, (_, slot) => {
    const assignment = {
      slot,
      count: config.processes,
      sockets,
      origin,
      dataDir: config.dataDir,
      sessions: [],
    };
    return new Slot({ assignment, drainMs: config.drainMs, logger, onReady: () => desk.handOut() });
  });
  desk.open(slots);
  await openNursery(async (nursery) => {
    for (const slot of slots) {
      // The first makes what all share; one after the other they do not wait for each other's locks.
      const ready = slot.nextReady();
      nursery.startSoon(() => slot.run(), "process");
      await ready;
    }
    const facts = slots[FIRST]?.facts;
    if (facts) onReady(facts);
    for (;;) {
      await hangups.next();
      await replaceAll(slots, logger);
    }
  });
}

/** One after the other; if one does not come back, the others stay as they are. */
async function replaceAll(slots: readonly Slot[], logger: Logger): Promise<void> {
  logger.info({ processes: slots.length }, "replacing the processes of the node");
  try {
    for (const slot of slots) await slot.replace();
    logger.info({ processes: slots.length }, "all processes of the node are replaced");
  } catch (error) {
    rethrowIfCancelled(error);
    logger.error(errorFacts(error), "a process could not be replaced; the others were left as they are");
  }
}

/** @throws ConfigError */
function requireShareable({ store, http, host }: NodeConfig): void {
  const hint = "run it with --processes 1";
  if (store === "memory")
    throw new ConfigError(
      "store",
      undefined,
      "cannot be memory with several processes: each would have its own",
      {
        hint: "use the file or a PostgreSQL database",
      },
    );
  if (!http) throw new ConfigError("processes", undefined, "must be 1 without HTTP", { hint });
  requireLoopback(host);
}

/** SIGHUP, heard from the beginning to the end: unheard, it would end the parent. Those that come meanwhile are one. */
class Hangups implements Disposable {
  #pending = false;
  #wake: (() => void) | undefined;
  readonly #hear = (): void => {
    this.#pending = true;
    this.#wake?.();
  };

  constructor() {
    process.on("SIGHUP", this.#hear);
  }

  /** Resolves when there was one since the last call. */
  async next(): Promise<void> {
    await suspend<void>((resume, fail) => {
      this.#wake = resume;
      if (this.#pending) resume();
      return fail;
    });
    this.#wake = undefined;
    this.#pending = false;
  }

  [Symbol.dispose](): void {
    process.off("SIGHUP", this.#hear);
  }
}

/** Gives connections to the processes in turn. */
class Desk {
  readonly #waiting: Socket[] = [];
  #slots: readonly Slot[] = [];
  #last = 0;

  constructor(server: Server) {
    server.on("connection", (connection) => this.#take(connection));
  }

  open(slots: readonly Slot[]): void {
    this.#slots = slots;
  }

  /** Gives those that wait to whoever is ready. */
  handOut(): void {
    for (const connection of this.#waiting.splice(0)) this.#take(connection);
  }

  #take(connection: Socket): void {
    const slot = this.#next();
    if (slot) slot.give(connection);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(connection);
    else connection.destroy();
  }

  #next(): Slot | undefined {
    for (let i = 1; i <= this.#slots.length; i++) {
      const at = (this.#last + i) % this.#slots.length;
      const slot = this.#slots[at];
      if (!slot?.isReady) continue;
      this.#last = at;
      return slot;
    }
    return undefined;
  }
}

/** Connections that were handed on are the processes' to end. */
async function closed(server: Server): Promise<void> {
  server.close();
}
