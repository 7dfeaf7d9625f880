/** One mounted MCP server: connected, listed, watched, and connected again when it ends. */
import type { Transport } from "@modelcontextprotocol/client";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { DeadlineError, errorFacts, McpError, RemoteError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  cancelScope,
  type CancelScope,
  failAfter,
  rethrowIfCancelled,
  shield,
  sleep,
  suspend,
} from "../nursery/index.ts";
import { type Connection, openConnection } from "./connection.ts";
import { failureOf } from "./failure.ts";
import { targetName, withoutTarget } from "./target-name.ts";
import type { ProgressListener, ToolInfo, ToolResult } from "./tool.ts";

/** How long a server may take to start and to list its tools: `npx` may have to fetch it first. */
const START_TIMEOUT_MS = 120_000;
/** The longest pause before the first restart; it doubles with each failure. */
const RESTART_BASE_MS = 500;
/** The longest pause at all, so that a mended server is back within a minute. */
const RESTART_CAP_MS = 60_000;
/** The shortest pause: a server that ends at once must not keep a core busy. */
const RESTART_FLOOR_MS = 100;
/** A server that was up for this long had no trouble starting: its next restart is as quick as the first. */
const STABLE_MS = 30_000;
/** How long a server may take to end. */
const CLOSE_LIMIT_MS = 25_000;

/** Why a server is down that we ended ourselves. */
const CLOSED = "it was closed";

/** An MCP server to be mounted. */
export interface Mount {
  /** The first part of its tools' names. */
  readonly name: string;
  /** A URL or a command line. May hold secrets: what is said to others is {@link targetName} of it. */
  readonly target: string;
}

/** What is known about a mount, as peers may see it. */
export interface MountStatus {
  readonly name: string;
  /** Its program or host, see {@link targetName}. */
  readonly target: string;
  readonly state: "starting" | "up" | "down";
  /** How many tools it has; 0 unless it is up. */
  readonly tools: number;
  /** Why it is down, or was last, without any part of the target that is not shown. */
  readonly error?: string | undefined;
}

/** What a mount needs from around it. */
export interface MountContext {
  readonly openTransport: (mount: Mount, signal: AbortSignal) => Promise<Transport>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Is told when state or tools have changed. */
  readonly changed: () => void;
}

/** A mounted server and the task that keeps it up. */
export class MountedServer {
  readonly mount: Mount;
  readonly #context: MountContext;
  /** What is said of the target. */
  readonly #target: string;
  #state: MountStatus["state"] = "starting";
  #tools: readonly ToolInfo[] = [];
  #error: string | undefined;
  #connection: Connection | undefined;
  /** Set by the connection when something has happened that {@link MountedServer.run} must see to. */
  #event: "lost" | "tools-changed" | undefined;
  #wake: (() => void) | undefined;

  constructor(mount: Mount, context: MountContext) {
    this.mount = mount;
    this.#target = targetName(mount.target);
    this.#context = context;
  }

  /** The tools it has now; none unless it is up. */
  get tools(): readonly ToolInfo[] {
    return this.#state === "up" ? this.#tools : [];
  }

  get status(): MountStatus {
    const error = this.#error === undefined ? {} : { error: this.#error };
    return {
      name: this.mount.name,
      target: this.#target,
      state: this.#state,
      tools: this.tools.length,
      ...error,
    };
  }

  /** Calls one of its tools. @throws UnreachableError while it is not up */
  async call(tool: string, args: JsonObject, onProgress?: ProgressListener): Promise<ToolResult> {
    const connection = this.#connection;
    if (this.#state !== "up" || !connection) throw this.unreachable();
    try {
      return await connection.callTool(tool, args, onProgress);
    } catch (error) {
      throw this.#safe(error);
    }
  }

  /** Why no tool of it can be called now. */
  unreachable(): McpError {
    const why = this.#error === undefined ? "" : `: ${this.#error}`;
    return new UnreachableError(
      `the mounted server '${this.mount.name}' (${this.#target}) is ${this.#state}${why}`,
      {
        hint: "it is started again by itself; see its state with `mcpp status`",
      },
    );
  }

  /** Keeps the server up until the enclosing scope is cancelled, and then ends it. */
  async run(): Promise<void> {
    for (let failures = 1; ; failures++) {
      const { clock } = this.#context;
      const startedAt = clock.now();
      await cancelScope((scope) => this.#serve(scope));
      if (clock.now() - startedAt >= STABLE_MS) failures = 1;
      await sleep(this.#pauseAfter(failures));
    }
  }

  #hide(text: string): string {
    return withoutTarget(text, this.mount.target);
  }

  /** The error itself if it tells nothing of the target; else one with the same code that does not. */
  #safe(error: unknown): unknown {
    if (!(error instanceof McpError)) return error;
    const { code, failureClass, message, hint } = error;
    const shown = this.#hide(message);
    return shown === message ? error : new RemoteError({ code, failureClass, message: shown, hint });
  }

  #pauseAfter(failures: number): number {
    const ceiling = Math.min(RESTART_CAP_MS, RESTART_BASE_MS * 2 ** (failures - 1));
    return RESTART_FLOOR_MS + this.#context.random() * (ceiling - RESTART_FLOOR_MS);
  }

  /** One life of the server, from its start to its end. */
  async #serve(scope: CancelScope): Promise<void> {
    const { logger } = this.#context;
    this.#event = undefined;
    try {
      await failAfter(START_TIMEOUT_MS, () => this.#connect());
      this.#become("up", undefined);
      while ((await this.#nextEvent()) === "tools-changed")
        await failAfter(START_TIMEOUT_MS, () => this.#list());
      this.#become("down", "it ended");
    } catch (error) {
      rethrowIfCancelled(error);
      const isTimeout = error instanceof Error && error.name === "TimeoutError";
      const failure = isTimeout
        ? new DeadlineError(`not ready within ${START_TIMEOUT_MS} ms`)
        : failureOf(error, { target: this.#target });
      this.#become("down", this.#hide(failure.message));
    } finally {
      const connection = this.#connection;
      this.#connection = undefined;
      if (scope.cancelled) this.#become("down", CLOSED);
      if (connection) await shield(CLOSE_LIMIT_MS, () => this.#close(connection));
    }
    logger.debug({ mount: this.mount.name }, "a mounted server is cleaned up");
  }

  async #connect(): Promise<void> {
    const { openTransport, logger } = this.#context;
    this.#connection = await openConnection({
      openTransport: (signal) => openTransport(this.mount, signal),
      clientInfo: { name: "mcplusplus", version: "0.1.0" },
      target: this.#target,
      logger,
      onToolsChanged: () => this.#notify("tools-changed"),
      onLost: () => this.#notify("lost"),
    });
    await this.#list();
  }

  async #list(): Promise<void> {
    if (this.#connection) this.#tools = await this.#connection.listTools();
    this.#context.changed();
  }

  #notify(event: "lost" | "tools-changed"): void {
    if (this.#event !== "lost") this.#event = event;
    this.#wake?.();
  }

  async #nextEvent(): Promise<"lost" | "tools-changed"> {
    await suspend<void>((resume, fail) => {
      this.#wake = resume;
      if (this.#event) resume();
      return fail;
    });
    this.#wake = undefined;
    const event = this.#event ?? "lost";
    this.#event = event === "lost" ? "lost" : undefined;
    return event;
  }

  #become(state: "up" | "down", error: string | undefined): void {
    const { logger, changed } = this.#context;
    const news = this.#state !== state || (error !== undefined && this.#error !== error);
    this.#state = state;
    if (error !== undefined) this.#error = error;
    if (!news) return;
    const facts = { mount: this.mount.name, target: this.#target, tools: this.tools.length };
    if (state === "up") logger.info(facts, "a mounted server is up");
    else if (error === CLOSED) logger.info(facts, "a mounted server was closed");
    else logger.warn({ ...facts, reason: error }, "a mounted server is down");
    changed();
  }

  async #close(connection: Connection): Promise<void> {
    try {
      await connection.close();
    } catch (error) {
      this.#context.logger.warn(
        { mount: this.mount.name, reason: this.#hide(errorFacts(error).message) },
        "a mounted server could not be ended",
      );
    }
  }
}
