/**
 * A client of one MCP server, wherever it is: it connects, calls with deadlines, and connects again when it has to.
 *
 * What may be repeated is decided by one rule: a request is sent again only if nothing was begun the first time, or
 * if the tool says (or the caller) that doing it twice is the same as doing it once.
 */
import type { Implementation, Transport } from "@modelcontextprotocol/client";
import { type Clock, systemClock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { CancelledError, DeadlineError, McpError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import {
  abandonOnCancel,
  isCancelled,
  type Nursery,
  openHost,
  rethrowIfCancelled,
  shield,
} from "../nursery/index.ts";
import { Attempts } from "./attempts.ts";
import { type Connection, openConnection } from "./connection.ts";
import { structuredOf, toolFailure } from "./failure.ts";
import type { ToolCallOptions, ToolInfo, ToolResult } from "./tool.ts";

/** How long a call may take if nothing is said. */
export const DEFAULT_CALL_TIMEOUT_MS = 60_000;
/** How often a call is repeated if nothing is said, as in the old system. */
export const DEFAULT_RETRIES = 3;
/** How long a connection that is not used any more may take to close. */
const CLOSE_LIMIT_MS = 25_000;

/** Options of {@link openClient}. */
export interface ClientOptions {
  /** Gives a fresh transport, not started; called again when a connection is lost. */
  readonly openTransport: (signal: AbortSignal) => Promise<Transport>;
  /** What is connected to, for messages: a URL, a command line, a multiaddr. */
  readonly target: string;
  /** Who we say we are. Default `mcplusplus`. */
  readonly name?: string | undefined;
  /** Default 0.1.0. */
  readonly version?: string | undefined;
  /** Holds what runs in the background. Default: one of its own, closed with the client. */
  readonly nursery?: Nursery | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
  /** How long connecting, and a call that names no time, may take. Default {@link DEFAULT_CALL_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
  /** How often a call is repeated where that is safe. Default {@link DEFAULT_RETRIES}. */
  readonly retries?: number | undefined;
  /** Gives up connecting. */
  readonly signal?: AbortSignal | undefined;
  /** Jitter: numbers from 0 (included) to 1 (excluded). */
  readonly random?: (() => number) | undefined;
}

/** Options of {@link Client.callTool}. */
export interface CallToolOptions extends ToolCallOptions {
  /** Doing it twice is the same as doing it once. Default: what the tool's annotations say. */
  readonly idempotent?: boolean | undefined;
}

/** A client of one MCP server. Methods throw McpErrors; a call that is given up throws CancelledError. */
export interface Client extends AsyncDisposable {
  readonly target: string;
  /** What the server says it is; undefined if it does not say. */
  readonly serverInfo: Implementation | undefined;
  /** Revision of the protocol in use, such as 2026-07-28. */
  readonly protocolVersion: string;
  readonly closed: boolean;
  listTools(options?: ToolCallOptions): Promise<readonly ToolInfo[]>;
  /** Calls a tool. A tool that fails gives a result with `isError`; it does not throw. */
  callTool(name: string, args?: JsonObject, options?: CallToolOptions): Promise<ToolResult>;
  /**
   * Calls a tool and gives its structured content; from a server that has none its text as JSON, or `{ content }`.
   *
   * @throws ToolFailedError with the tool's text, or an error with the `error_code` that the tool gave
   */
  call(name: string, args?: JsonObject, options?: CallToolOptions): Promise<JsonObject>;
  /** Ends the connection and all calls under way. Repeating it is harmless. */
  close(): Promise<void>;
}

/**
 * Connects to an MCP server.
 *
 * @throws UnreachableError if nobody is there, DeadlineError after `timeoutMs`, CancelledError if `signal` aborts
 */
export async function openClient(options: ClientOptions): Promise<Client> {
  const client = new ReconnectingClient(options);
  try {
    await client.connect(options.signal);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

class ReconnectingClient implements Client {
  readonly target: string;
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #nursery: Nursery;
  readonly #closeHost: () => Promise<void>;
  readonly #closing = new AbortController();
  /** The connection for new calls, or its making. */
  #current: Promise<Connection> | undefined;
  #latest: Connection | undefined;
  /** All that are not closed: the current one, and those it replaced while they had calls under way. */
  readonly #open = new Set<Connection>();
  /** How many calls each has under way. */
  readonly #inUse = new Map<Connection, number>();
  #harmless: ReadonlySet<string> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ClientOptions) {
    this.target = options.target;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    if (options.nursery) {
      this.#nursery = options.nursery;
      this.#closeHost = async () => undefined;
    } else {
      const host = openHost({ clock: this.#clock, name: `client of ${options.target}` });
      this.#nursery = host.nursery;
      this.#closeHost = () => host.close();
    }
  }

  get serverInfo(): Implementation | undefined {
    return this.#latest?.serverInfo;
  }

  get protocolVersion(): string {
    return this.#latest?.protocolVersion ?? "unknown";
  }

  get closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async connect(signal: AbortSignal | undefined): Promise<void> {
    await this.#run(
      "connecting",
      { signal },
      async () => undefined,
      () => true,
    );
  }

  listTools(options: ToolCallOptions = {}): Promise<readonly ToolInfo[]> {
    return this.#run(
      "tools/list",
      options,
      (connection) => this.#list(connection),
      () => true,
    );
  }

  callTool(name: string, args: JsonObject = {}, options: CallToolOptions = {}): Promise<ToolResult> {
    const send = (connection: Connection): Promise<ToolResult> =>
      connection.callTool(name, args, options.onProgress);
    return this.#run(`'${name}'`, options, send, () => options.idempotent ?? this.#isHarmless(name));
  }

  async call(name: string, args: JsonObject = {}, options: CallToolOptions = {}): Promise<JsonObject> {
    const result = await this.callTool(name, args, options);
    if (result.isError) throw toolFailure(name, result);
    return structuredOf(result);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([this.#current]);
    this.#current = undefined;
    await Promise.all([...this.#open].map((connection) => this.#discard(connection)));
    await this.#closeHost();
  }

  /** Runs one request under its deadline, and repeats it where that is safe. */
  async #run<T>(
    what: string,
    options: ToolCallOptions,
    send: (connection: Connection) => Promise<T>,
    mayRepeat: () => boolean | Promise<boolean>,
  ): Promise<T> {
    const timeoutMs = options.timeoutMs ?? this.#options.timeoutMs ?? DEFAULT_CALL_TIMEOUT_MS;
    const { retries = DEFAULT_RETRIES, random = Math.random } = this.#options;
    const endsAt = this.#clock.now() + timeoutMs;
    const request = new Attempts({ retries, random, clock: this.#clock, endsAt, mayRepeat });
    const signal = anyOf(options.signal, this.#closing.signal);
    try {
      return await this.#nursery.run(() => request.run(() => this.#once(send)), { timeoutMs, signal }, what);
    } catch (error) {
      if (error instanceof McpError) throw error;
      if (options.signal?.aborted) throw new CancelledError(`${what} was given up`, { cause: error });
      if (this.closed) throw new CancelledError(`the client of ${this.target} is closed`, { cause: error });
      if (isCancelled(error)) throw new CancelledError(`${what} was cancelled`, { cause: error });
      if (!(error instanceof Error && error.name === "TimeoutError")) throw error;
      throw (
        request.failure ??
        new DeadlineError(`${this.target}: ${what} was not done within ${timeoutMs} ms`, { cause: error })
      );
    }
  }

  async #once<T>(send: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#connection();
    this.#inUse.set(connection, (this.#inUse.get(connection) ?? 0) + 1);
    try {
      return await send(connection);
    } catch (error) {
      const broken =
        error instanceof McpError && (error.code === "E_UNREACHABLE" || error.code === "E_CONNECTION_LOST");
      if (broken && this.#latest === connection) this.#current = undefined;
      throw error;
    } finally {
      this.#leave(connection);
    }
  }

  /** The connection for new calls. Calls that come while it is being made wait for the same one. */
  async #connection(): Promise<Connection> {
    if (this.#latest?.lost) this.#current = undefined;
    this.#current ??= this.#connectAnew();
    const pending = this.#current;
    try {
      return await abandonOnCancel(pending);
    } catch (error) {
      rethrowIfCancelled(error);
      if (this.#current === pending) this.#current = undefined;
      throw error;
    }
  }

  #connectAnew(): Promise<Connection> {
    const {
      openTransport,
      name = "mcplusplus",
      version = "0.1.0",
      timeoutMs = DEFAULT_CALL_TIMEOUT_MS,
    } = this.#options;
    const clientInfo = { name, version };
    const connecting = async (): Promise<Connection> => {
      this.#harmless = undefined;
      const connection = await openConnection({
        openTransport,
        clientInfo,
        target: this.target,
        logger: this.#logger,
      });
      this.#open.add(connection);
      this.#latest = connection;
      return connection;
    };
    const opened = this.#nursery.run(
      connecting,
      { timeoutMs, signal: this.#closing.signal },
      `connecting to ${this.target}`,
    );
    // Whoever waits for it learns of its failure; if nobody waits any more, nobody needs to.
    opened.catch(() => undefined);
    return opened;
  }

  /** A connection that was replaced is closed when its last call has ended. */
  #leave(connection: Connection): void {
    const left = (this.#inUse.get(connection) ?? 1) - 1;
    if (left > 0) {
      this.#inUse.set(connection, left);
      return;
    }
    this.#inUse.delete(connection);
    const replaced = this.#latest !== connection || this.#current === undefined;
    if (replaced && !this.closed)
      this.#nursery.startSoon(() => shield(CLOSE_LIMIT_MS, () => this.#discard(connection)), "discard");
  }

  async #discard(connection: Connection): Promise<void> {
    this.#open.delete(connection);
    try {
      await connection.close();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.debug({ target: this.target, reason }, "a broken connection could not be closed");
    }
  }

  async #list(connection: Connection): Promise<readonly ToolInfo[]> {
    const tools = await connection.listTools();
    const harmless = tools.filter(
      ({ annotations }) => annotations?.readOnlyHint === true || annotations?.idempotentHint === true,
    );
    this.#harmless = new Set(harmless.map((tool) => tool.name));
    return tools;
  }

  async #isHarmless(name: string): Promise<boolean> {
    if (!this.#harmless) await this.#once((connection) => this.#list(connection));
    return this.#harmless?.has(name) ?? false;
  }
}

function anyOf(given: AbortSignal | undefined, own: AbortSignal): AbortSignal {
  return given ? AbortSignal.any([given, own]) : own;
}
