/** MCP between two ends in one process. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { JSONRPCMessage, Transport } from "@modelcontextprotocol/server";
import { ConnectionLostError } from "../errors.ts";

/** Two ends of one connection: what one sends the other receives, in order. Closing either closes both. */
export function memoryPair(): readonly [Transport, Transport] {
  const one = new MemoryTransport();
  const other = new MemoryTransport();
  one.link(other);
  other.link(one);
  return [one, other];
}

class MemoryTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: NonNullable<Transport["onmessage"]>;
  #peer: MemoryTransport | undefined;
  #state: "new" | "open" | "closed" = "new";
  #delivering = false;
  readonly #inbox: JSONRPCMessage[] = [];
  /** Messages arrive in the context in which the end was made, not in that of whoever sends them. */
  readonly #here = AsyncLocalStorage.snapshot();

  link(peer: MemoryTransport): void {
    this.#peer = peer;
  }

  async start(): Promise<void> {
    if (this.#state === "new") this.#state = "open";
    this.#deliver();
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#state === "closed" || !this.#peer) throw new ConnectionLostError("the connection is closed");
    this.#peer.#inbox.push(message);
    this.#peer.#deliver();
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await this.#peer?.close();
    this.onclose?.();
  }

  #deliver(): void {
    if (this.#state !== "open" || this.#delivering) return;
    this.#delivering = true;
    // One message a turn: the SDK handles a notification one step later than an answer, so progress that arrives
    // together with its result would be lost (reference: defect D2).
    this.#here(() =>
      setImmediate(() => {
        this.#delivering = false;
        const message = this.#state === "open" ? this.#inbox.shift() : undefined;
        if (message) this.onmessage?.(message);
        if (this.#inbox.length > 0) this.#deliver();
      }),
    );
  }
}
