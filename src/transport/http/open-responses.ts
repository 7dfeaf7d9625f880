/** What a server has under way: responses, event streams, and the connections that were handed to it. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "../../clock.ts";

/** Counts what is open, and waits until it is not. */
export class OpenResponses {
  readonly #responses = new Set<ServerResponse>();
  /** They stay open by nature, and nobody waits for their end. */
  readonly #streams = new Set<ServerResponse>();
  readonly #onChange = new Set<() => void>();
  readonly #connections = new Set<Socket>();
  #draining = false;

  connected(connection: Socket): void {
    this.#connections.add(connection);
    connection.once("close", () => {
      this.#connections.delete(connection);
      this.#changed();
    });
  }

  add(response: ServerResponse): void {
    this.#responses.add(response);
    if (this.#draining) response.setHeader("connection", "close");
    response.once("close", () => {
      this.#responses.delete(response);
      this.#streams.delete(response);
      this.#changed();
    });
  }

  /** The response stays open as long as its client likes. */
  streams(response: ServerResponse): void {
    this.#responses.delete(response);
    this.#streams.add(response);
    this.#changed();
  }

  /** Resolves when all responses but streams have ended, or `limitMs` are over. */
  drained(clock: Clock, limitMs: number): Promise<void> {
    return this.#until(() => this.#responses.size === 0, clock, limitMs);
  }

  /** From now on each answer closes its connection. Resolves when only streams have one, or `limitMs` are over. */
  connectionsDrained(clock: Clock, limitMs: number): Promise<void> {
    this.#draining = true;
    for (const response of this.#responses)
      if (!response.headersSent) response.setHeader("connection", "close");
    return this.#until(() => this.#connections.size <= this.#streams.size, clock, limitMs);
  }

  #changed(): void {
    for (const look of this.#onChange) look();
  }

  #until(isDone: () => boolean, clock: Clock, limitMs: number): Promise<void> {
    if (isDone()) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        stop();
        this.#onChange.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isDone()) end();
      };
      const stop = clock.schedule(end, limitMs);
      this.#onChange.add(look);
    });
  }
}
