/**
 * Sessions of the initialize era: one SDK transport and one server instance each.
 *
 * They are bounded in number and idle time, because a client that forgets to end its session never comes back.
 */
import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { NodeStreamableHTTPServerTransport } from "@modelcontextprotocol/node";
import type { Transport } from "@modelcontextprotocol/server";
import type { Clock } from "../../clock.ts";
import { BusyError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";

/** How many sessions there may be at once, if the caller names nothing. */
export const DEFAULT_MAX_SESSIONS = 256;
/** A session that was not used for so long is ended. */
export const SESSION_IDLE_MS: number = 30 * 60_000;
/** How often idle sessions are looked for. */
const SWEEP_MS = 60_000;

/** What another process needs to go on with a session. */
export interface SessionRecord {
  readonly id: string;
  /** The request that began it. */
  readonly initialize: unknown;
}

interface Session {
  readonly initialize: unknown;
  readonly transport: NodeStreamableHTTPServerTransport;
  /** Requests under way, including the open event stream. */
  busy: number;
  usedMs: number;
}

/** What {@link Sessions} needs. */
export interface SessionsOptions {
  /** How the ids of the sessions begin. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly max: number;
  /** Connects a server to a new session's transport. */
  readonly attach: (transport: Transport) => Promise<void>;
}

/** All sessions of an endpoint. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #sessions = new Map<string, Session>();
  #stopSweep: (() => void) | undefined;
  #opening = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Whether there is a session of that id. */
  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  /** How many sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /** All that there are. */
  records(): readonly SessionRecord[] {
    return [...this.#sessions].map(([id, { initialize }]) => ({ id, initialize }));
  }

  /**
   * Begins a session with its `initialize` request.
   *
   * @param taken - the id that it has, if it began in a process that this one replaces
   * @throws {@link BusyError} if all are taken and in use
   */
  async open(
    request: IncomingMessage,
    response: ServerResponse,
    body: unknown,
    taken?: string,
  ): Promise<void> {
    this.#makeRoom();
    this.#opening++;
    const { prefix, clock, attach } = this.#options;
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: () => taken ?? `${prefix}${randomUUID()}`,
      onsessioninitialized: (id) => {
        this.#sessions.set(id, { initialize: body, transport, busy: 0, usedMs: clock.now() });
        this.#sweepLater();
      },
      onsessionclosed: (id) => void this.#sessions.delete(id),
    });
    try {
      await attach(transport);
      await transport.handleRequest(request, response, body);
    } finally {
      this.#opening--;
      // A request that began no session leaves nothing behind.
      if (transport.sessionId === undefined || !this.#sessions.has(transport.sessionId))
        await transport.close();
    }
  }

  /** Passes a request on to its session, which must exist. */
  async handle(id: string, request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const session = this.#sessions.get(id);
    if (!session) throw new TypeError(`no session ${id}`);
    session.busy++;
    response.once("close", () => {
      session.busy--;
      session.usedMs = this.#options.clock.now();
    });
    await session.transport.handleRequest(request, response, body);
  }

  /** Ends all sessions. */
  async close(): Promise<void> {
    this.#stopSweep?.();
    await Promise.all([...this.#sessions.keys()].map((id) => this.#end(id)));
  }

  #makeRoom(): void {
    if (this.#sessions.size + this.#opening < this.#options.max) return;
    const idle = [...this.#sessions].filter(([, { busy }]) => busy === 0);
    const [oldest] = idle.toSorted(([, one], [, other]) => one.usedMs - other.usedMs);
    if (!oldest) throw new BusyError(`all ${this.#options.max} sessions are in use`);
    this.#endSoon(oldest[0]);
  }

  #sweepLater(): void {
    if (this.#stopSweep || this.#sessions.size === 0) return;
    this.#stopSweep = this.#options.clock.schedule(() => {
      this.#stopSweep = undefined;
      const before = this.#options.clock.now() - SESSION_IDLE_MS;
      for (const [id, { busy, usedMs }] of this.#sessions)
        if (busy === 0 && usedMs <= before) this.#endSoon(id);
      this.#sweepLater();
    }, SWEEP_MS);
  }

  #endSoon(id: string): void {
    this.#end(id).catch((error: unknown) =>
      this.#options.logger.warn({ err: error }, "an MCP session did not end cleanly"),
    );
  }

  async #end(id: string): Promise<void> {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    await session?.transport.close();
  }
}
