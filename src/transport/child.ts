/**
 * MCP over the standard streams of a process that we start: newline-delimited JSON (MCP, transports, stdio).
 *
 * The process is spawned without a shell, as leader of its own group, and never outlives the nursery: a task there
 * watches it and ends its whole tree in a shielded cleanup, whichever way the end begins.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import type { JSONRPCMessage, MessageExtraInfo, Transport } from "@modelcontextprotocol/client";
import type { Clock } from "../clock.ts";
import { ConnectionLostError, MessageTooLargeError, ProtocolError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abandonOnCancel, moveOnAfter, type Nursery, shield, suspend } from "../nursery/index.ts";
import { childErrors } from "./child-errors.ts";
import type { ChildEntry, ChildRegistry } from "./child-registry.ts";
import { LineCutter } from "./lines.ts";
import { endTree, MARKER_VARIABLE, type ProcessTree, signalTree } from "./process-tree.ts";

/** The longest message: what the other wires carry, so that whatever a tool returns can be passed on. */
export const MAX_LINE_BYTES: number = 16 * 1024 * 1024;
/** How long a server has to end by itself once its input is closed, as the protocol asks of it; then again after SIGTERM. */
export const CHILD_GRACE_MS = 2000;
/** How long the last output of a process that has ended is waited for: a grandchild may hold the pipe open for ever. */
const FLUSH_MS = 250;
/** A cleanup gets its three graces (input, SIGTERM, SIGKILL) and this on top, so that only one that hangs is cut off. */
const CLEANUP_SLACK_MS = 5000;

/** Options of {@link childTransport}. */
export interface ChildTransportOptions {
  /** The program, found on the PATH in `env`. No shell looks at it. */
  readonly command: string;
  readonly args: readonly string[];
  /** All variables that the child gets, besides its marker; ours are not passed on. Absent means none, not even a PATH. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Default: ours. */
  readonly cwd?: string | undefined;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Is told each line of the child's standard error, cut to a bounded length. */
  readonly stderr?: ((line: string) => void) | undefined;
  /** Keeps a record of the process until its tree is gone. */
  readonly registry?: ChildRegistry | undefined;
  /** Who starts it, such as `<peer id>/<mount>`: part of the marker in its environment. Default `mcpp`. */
  readonly owner?: string | undefined;
  /** Default {@link CHILD_GRACE_MS}. */
  readonly graceMs?: number | undefined;
}

/** A transport to a process. */
export interface ChildTransport extends Transport {
  /** Of the process, while it is known. With `stderr` it tells the SDK that this is stdio, where silence means an old server. */
  readonly pid: number | null;
  readonly stderr: null;
}

/**
 * A transport to the MCP server that `command` starts. The process starts with `start()`, which the SDK's client calls.
 * `start()` throws UnreachableError if it cannot be started; `close()` resolves when its whole tree has ended.
 */
export function childTransport(options: ChildTransportOptions): ChildTransport {
  return new SpawnedServer(options);
}

class SpawnedServer implements ChildTransport {
  readonly stderr = null;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;
  readonly #options: ChildTransportOptions;
  readonly #lines = new LineCutter(MAX_LINE_BYTES);
  readonly #inbox: Buffer[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #child: ChildProcessWithoutNullStreams | undefined;
  #delivering = false;
  #closed = false;
  #isOver = false;
  #wake: (() => void) | undefined;
  #lastWords: () => string = () => "";

  constructor(options: ChildTransportOptions) {
    this.#options = options;
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? CHILD_GRACE_MS;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async start(): Promise<void> {
    if (this.#child || this.#closed) throw new TypeError("a child transport is started once");
    const { command, registry, owner = "mcpp" } = this.#options;
    const entry = registry ? await registry.announce(owner, command) : unrecorded(owner);
    // Closed while the record was written.
    if (this.#closed) return this.#abandon(entry);
    const child = this.#spawn(entry.marker);
    this.#child = child;
    try {
      await once(child, "spawn");
    } catch (error) {
      await this.#abandon(entry);
      const why = error instanceof Error ? error.message : String(error);
      throw new UnreachableError(`cannot start '${command}': ${why}`, { cause: error });
    }
    const tree: ProcessTree = { group: child.pid, marker: entry.marker };
    child.once("exit", () => this.#over());
    try {
      this.#options.nursery.startSoon(() => this.#watch(child, tree, entry), `child ${command}`);
    } catch (error) {
      signalTree(tree, "SIGKILL");
      await this.#abandon(entry);
      throw error;
    }
    if (child.pid !== undefined) await entry.started(child.pid);
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin;
    if (!stdin || this.#closed) throw new UnreachableError(this.#describe("has ended"));
    const line = Buffer.from(`${JSON.stringify(message)}\n`);
    if (line.length > MAX_LINE_BYTES)
      throw new MessageTooLargeError(`a message of ${line.length} bytes is more than ${MAX_LINE_BYTES}`);
    await new Promise<void>((resolve, reject) => {
      stdin.write(line, (error) => {
        if (error)
          reject(new ConnectionLostError(this.#describe("does not read any more"), { cause: error }));
        else resolve();
      });
    });
  }

  async close(): Promise<void> {
    if (!this.#child) this.#ended.resolve();
    this.#finish();
    this.#over();
    await this.#ended.promise;
  }

  #spawn(marker: string): ChildProcessWithoutNullStreams {
    const { command, args, env, cwd, clock, logger } = this.#options;
    const child = spawn(command, [...args], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...env, [MARKER_VARIABLE]: marker },
      detached: process.platform !== "win32",
      windowsHide: true,
      stdio: "pipe",
    });
    child.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
    child.on("error", (error) =>
      logger.debug({ command, reason: error.message }, "a child could not be started or told"),
    );
    // A broken pipe is told to whoever writes, and the exit to everybody; without a listener it would end the node.
    child.stdin.on("error", (error) =>
      logger.debug({ command, reason: error.message }, "input of a child broke"),
    );
    this.#lastWords = childErrors(child.stderr, { command, clock, logger, listener: this.#options.stderr });
    return child;
  }

  /** The life of the process as a task: ends when the process does, or when it is to end. */
  async #watch(child: ChildProcessWithoutNullStreams, tree: ProcessTree, entry: ChildEntry): Promise<void> {
    try {
      await suspend<void>((resume, fail) => {
        this.#wake = resume;
        if (this.#isOver) resume();
        return fail;
      });
    } finally {
      await shield(3 * this.#graceMs + CLEANUP_SLACK_MS, () => this.#end(child, tree, entry));
    }
  }

  async #end(child: ChildProcessWithoutNullStreams, tree: ProcessTree, entry: ChildEntry): Promise<void> {
    const { command, logger } = this.#options;
    try {
      child.stdin.end();
      if (!hasExited(child)) {
        this.#finish();
        await moveOnAfter(this.#graceMs, () => abandonOnCancel(once(child, "exit")));
      }
      // The last words of a process that ended by itself still count.
      if (!child.stdout.readableEnded)
        await moveOnAfter(FLUSH_MS, () => abandonOnCancel(once(child.stdout, "end")));
      if (!this.#closed) {
        const how = child.signalCode ?? `code ${child.exitCode}`;
        logger.info({ command, how }, "a child ended");
        this.onerror?.(new ConnectionLostError(this.#describe(`ended with ${how}`)));
      }
      this.#finish();
      // Windows has no groups; what the server started there ends when its pipes close.
      if (process.platform === "win32") child.kill();
      const gone = await endTree(tree, this.#graceMs);
      if (gone) await entry.remove();
      else
        logger.warn(
          { command, pid: tree.group },
          "a child does not end; the next start of the node tries again",
        );
    } finally {
      child.stdout.destroy();
      child.stderr.destroy();
      this.#finish();
      this.#ended.resolve();
    }
  }

  async #abandon(entry: ChildEntry): Promise<void> {
    await entry.remove();
    this.#finish();
    this.#ended.resolve();
  }

  #over(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onclose?.();
  }

  #receive(chunk: Buffer): void {
    const lines = this.#lines.push(chunk);
    this.#inbox.push(...lines);
    if (this.#lines.overflown || lines.some((line) => line.length > MAX_LINE_BYTES)) {
      this.#inbox.length = 0;
      this.#lines.take();
      this.onerror?.(new ProtocolError(this.#describe(`sent a line of more than ${MAX_LINE_BYTES} bytes`)));
      this.#finish();
      this.#over();
      return;
    }
    if (!this.#delivering) this.#deliver();
  }

  /**
   * Hands messages on in order. After a notification two microtasks pass, because the SDK dispatches a notification one
   * microtask later than a response and would lose progress that comes together with its result (mcp.md, D2).
   */
  #deliver = (): void => {
    this.#delivering = true;
    for (let line = this.#inbox.shift(); line; line = this.#inbox.shift()) {
      if (this.#closed || line.length === 0) continue;
      const message = this.#parse(line);
      if (!message) continue;
      this.onmessage?.(message);
      if (!("id" in message)) {
        queueMicrotask(() => queueMicrotask(this.#deliver));
        return;
      }
    }
    this.#delivering = false;
  };

  #parse(line: Buffer): JSONRPCMessage | undefined {
    try {
      const value: unknown = JSON.parse(line.toString("utf8"));
      if (isMessage(value)) return value;
      throw new ProtocolError("no JSON-RPC 2.0 message");
    } catch (error) {
      // Many servers greet on standard output; the protocol forbids it, and nothing depends on it.
      const start = line.subarray(0, 200).toString("utf8");
      this.#options.logger.debug(
        { command: this.#options.command, start },
        "a child wrote a line that is no message",
      );
      this.onerror?.(new ProtocolError(this.#describe("wrote a line that is no message"), { cause: error }));
      return undefined;
    }
  }

  #describe(what: string): string {
    const words = this.#lastWords();
    return `'${this.#options.command}' ${what}${words === "" ? "" : `; its last words: ${words}`}`;
  }
}

function hasExited(child: ChildProcessWithoutNullStreams): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Cheap on purpose: the SDK checks each message against its full schema. */
function isMessage(value: unknown): value is JSONRPCMessage {
  return typeof value === "object" && value !== null && "jsonrpc" in value && value.jsonrpc === "2.0";
}

function unrecorded(owner: string): ChildEntry {
  return {
    marker: `${owner}/${randomUUID()}`,
    started: async () => undefined,
    remove: async () => undefined,
  };
}
