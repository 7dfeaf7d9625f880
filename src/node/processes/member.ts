/**
 * The life of one of a node's processes: it is told which one it is, serves what it is handed, and ends when it is told to,
 * or when its parent has gone, however that ended.
 */
import type { Socket } from "node:net";
import type { NodeConfig } from "../../config.ts";
import { ConfigError, ShuttingDownError } from "../../errors.ts";
import { createNode } from "../../node.ts";
import { abandonOnCancel, shield } from "../../nursery/index.ts";
import { type Assignment, connectionOf, type Order, orderIn } from "./message.ts";

/** What closing may take beyond the drain time: flushing, and ending mounted processes. */
const CLOSE_MS = 15_000;

/**
 * Runs one process of a node to its end.
 *
 * @throws what `createNode` throws, or the failure that ended the process's part of the node
 */
export async function runMember(config: NodeConfig): Promise<void> {
  using parent = new Parent();
  const { dataDir, ...share } = await abandonOnCancel(parent.assignment);
  if (config.dataDir !== dataDir)
    throw new ConfigError("data-dir", undefined, `cannot change while the node runs in ${dataDir}`, {
      hint: "end the node and start it again",
    });
  const node = await createNode(config, { share: { ...share, deliver: (take) => parent.deliver(take) } });
  try {
    const { peerId, url, multiaddrs } = node;
    process.send?.({ kind: "ready", facts: { peerId, url: url ?? "", multiaddrs } });
    const order = await abandonOnCancel(Promise.race([parent.end, node.ended]));
    if (order === "replace") {
      const sessions = await abandonOnCancel(node.drain());
      process.send?.({ kind: "sessions", sessions });
    }
  } finally {
    // Whatever hangs, no process outlives the node.
    setTimeout(() => process.exit(1), config.drainMs + 2 * CLOSE_MS).unref();
    await shield(config.drainMs + CLOSE_MS, () => node.close());
  }
}

/** The parent, as far as its process hears of it. */
class Parent implements Disposable {
  readonly #assigned = Promise.withResolvers<Assignment>();
  readonly #ended = Promise.withResolvers<Order["kind"]>();
  readonly #onMessage = (message: unknown, handle: unknown): void => this.#hear(orderIn(message), handle);
  readonly #onDisconnect = (): void => {
    this.#assigned.reject(new ShuttingDownError("the process that started this one has gone"));
    this.#ended.resolve("end");
  };
  /** Connections that came before anybody took them. */
  readonly #early: Socket[] = [];
  #take: ((connection: Socket) => void) | undefined;

  constructor() {
    // Nobody may have asked yet.
    this.#assigned.promise.catch(() => undefined);
    process.on("message", this.#onMessage);
    process.on("disconnect", this.#onDisconnect);
    // A terminal that closes tells all; the parent's order is what counts.
    process.on("SIGHUP", ignore);
    if (!process.connected) this.#onDisconnect();
  }

  get assignment(): Promise<Assignment> {
    return this.#assigned.promise;
  }

  /** Settles with the order to end. */
  get end(): Promise<Order["kind"]> {
    return this.#ended.promise;
  }

  deliver(take: (connection: Socket) => void): void {
    this.#take = take;
    for (const connection of this.#early.splice(0)) take(connection);
  }

  /** Without the channel nothing keeps the process alive. */
  [Symbol.dispose](): void {
    process.off("message", this.#onMessage);
    process.off("disconnect", this.#onDisconnect);
    process.off("SIGHUP", ignore);
    if (process.connected) process.disconnect();
  }

  #hear(order: Order, handle: unknown): void {
    switch (order.kind) {
      case "begin":
        this.#assigned.resolve(order.share);
        break;
      case "connection": {
        const connection = connectionOf(handle);
        if (connection === undefined) break;
        if (this.#take) this.#take(connection);
        else this.#early.push(connection);
        break;
      }
      case "replace":
      case "end":
        this.#ended.resolve(order.kind);
        break;
    }
  }
}

function ignore(): void {
  // Not the default, which is to end.
}
