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
  /** Of clients, and of other processes of the node. */
  readonly #clients = new Set<Socket>();
  readonly #siblings = new Set<Socket>();
  #draining = false;

  connected(connection: Socket): void {
    // Only a connection on a Unix socket has no address.
    const kind = connection.remoteAddress === undefined ? this.#siblings : this.#clients;
    kind.add(connection);
    connection.once("close", () => {
      kind.delete(connection);
      this.#changed();
    });
  }

  add(response: ServerResponse): void {
    this.#responses.add(response);
    if (this.#draining) closeAfter(response);
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

  /** From now on each answer closes its connection. Resolves when clients have only streams, or `limitMs` are over. */
  clientsDrained(clock: Clock, limitMs: number): Promise<void> {
    this.#draining = true;
    for (const response of this.#responses) if (!response.headersSent) closeAfter(response);
    return this.#until(() => !this.#isUsed(this.#clients), clock, limitMs);
  }

  /** Resolves when other processes have only streams, or `limitMs` are over. */
  siblingsDrained(clock: Clock, limitMs: number): Promise<void> {
    return this.#until(() => !this.#isUsed(this.#siblings), clock, limitMs);
  }

  #isUsed(connections: ReadonlySet<Socket>): boolean {
    const streams = new Set([...this.#streams].map(({ req }) => req.socket));
    return [...connections].some((connection) => !streams.has(connection));
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

/** The connection ends with the response. The SDK says otherwise in its event streams, which is left out. */
function closeAfter(response: ServerResponse): void {
  response.setHeader("connection", "close");
  const writeHead = response.writeHead.bind(response);
  Object.assign(response, {
    writeHead: (...args: readonly unknown[]): unknown =>
      Reflect.apply(writeHead, response, args.map(withoutConnection)),
  });
}

function withoutConnection(headers: unknown): unknown {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "connection"));
}
