/**
 * MCP servers whose tools this node offers as its own, each supervised by itself, so that a slow or bad one neither
 * delays nor hides the others.
 */
import type { Transport } from "@modelcontextprotocol/client";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { CancelledError, DeadlineError, McpError, ToolNotFoundError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { cancelScope, type CancelScope, isCancelled, type Nursery } from "../nursery/index.ts";
import { mountedName } from "./mounted-names.ts";
import { type Mount, MountedServer, type MountStatus } from "./mount.ts";
import type { ToolCallOptions, ToolInfo, ToolResult } from "./tool.ts";

export type { Mount, MountStatus } from "./mount.ts";

/** A tool of a mounted server. */
export interface MountedTool extends ToolInfo {
  /** Under which it is offered here: `<mount>__<tool>`, see mounted-names.ts. */
  readonly name: string;
  /** Its name at the server. */
  readonly originalName: string;
  readonly mount: string;
}

/** Options of {@link openMounts}. */
export interface MountsOptions {
  readonly mounts: readonly Mount[];
  /** Gives a fresh transport to a mount, not started. */
  readonly openTransport: (mount: Mount, signal: AbortSignal) => Promise<Transport>;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Jitter: numbers from 0 (included) to 1 (excluded). */
  readonly random?: (() => number) | undefined;
}

/** The mounted servers, as one. */
export interface Mounts extends AsyncDisposable {
  /** The tools of all mounts that are up, in the order of the mounts. */
  tools(): readonly MountedTool[];
  /** The same as their servers describe them, but for the names: what is shown to hosts. */
  listTools(): readonly ToolInfo[];
  /**
   * Calls a tool by the name it has here. Without `timeoutMs` the call takes as long as it takes, or until its signal.
   *
   * @throws ToolNotFoundError if no mount has it, UnreachableError while its mount is not up, ConnectionLostError if the
   *   server ended meanwhile, DeadlineError, CancelledError
   */
  call(name: string, args: JsonObject, options?: ToolCallOptions): Promise<ToolResult>;
  /** Waits until every mount was connected or has failed once. @throws CancelledError if `signal` aborts */
  ready(signal?: AbortSignal): Promise<void>;
  status(): readonly MountStatus[];
  /** Tells `listener` whenever tools or states have changed. @returns its undo */
  onChanged(listener: () => void): () => void;
  /** Ends all servers. Repeating it is harmless. */
  close(): Promise<void>;
}

/** Starts to mount servers, in the background. */
export function openMounts(options: MountsOptions): Mounts {
  return new SupervisedMounts(options);
}

class SupervisedMounts implements Mounts {
  readonly #options: MountsOptions;
  readonly #servers: readonly MountedServer[];
  readonly #scopes = new Set<CancelScope>();
  readonly #lives: readonly Promise<void>[];
  readonly #listeners = new Set<() => void>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #warned = new Set<string>();
  /** By the name they have here; tools of a mount that is down stay known. */
  readonly #known = new Map<string, { readonly server: MountedServer; readonly tool: MountedTool }>();
  #offered: readonly ToolInfo[] = [];
  #closed = false;

  constructor(options: MountsOptions) {
    const { mounts, clock, logger, openTransport, random = Math.random } = options;
    const changed = (): void => this.#changed();
    this.#options = options;
    this.#servers = mounts.map(
      (mount) => new MountedServer(mount, { openTransport, clock, logger, random, changed }),
    );
    this.#lives = this.#servers.map((server) => this.#start(server));
    if (mounts.length === 0) this.#ready.resolve();
  }

  tools(): readonly MountedTool[] {
    return this.#servers.flatMap((server) => this.#toolsOf(server));
  }

  listTools(): readonly ToolInfo[] {
    return this.#offered;
  }

  async call(name: string, args: JsonObject, options: ToolCallOptions = {}): Promise<ToolResult> {
    const { timeoutMs, signal, onProgress } = options;
    const known = this.#known.get(name);
    if (!known) throw this.#unknown(name);
    const { server, tool } = known;
    const call = (): Promise<ToolResult> => server.call(tool.originalName, args, onProgress);
    try {
      return await this.#options.nursery.run(call, { timeoutMs, signal }, name);
    } catch (error) {
      if (error instanceof McpError) throw error;
      if (isCancelled(error)) throw new CancelledError(`'${name}' was given up`, { cause: error });
      throw new DeadlineError(`'${name}' was not done within ${timeoutMs} ms`, { cause: error });
    }
  }

  async ready(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw new CancelledError("the wait was given up", { cause: signal.reason });
    const gaveUp = Promise.withResolvers<void>();
    const onAbort = (): void =>
      gaveUp.reject(new CancelledError("the wait was given up", { cause: signal?.reason }));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#ready.promise, gaveUp.promise]);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  status(): readonly MountStatus[] {
    return this.#servers.map((server) => server.status);
  }

  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const scope of this.#scopes) scope.cancel("the mounts are closed");
    await Promise.all(this.#lives);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @returns settles when the server has ended for good */
  #start(server: MountedServer): Promise<void> {
    const ended = Promise.withResolvers<void>();
    const life = async (): Promise<void> => {
      try {
        await cancelScope(async (scope) => {
          this.#scopes.add(scope);
          if (this.#closed) scope.cancel("the mounts are closed");
          await server.run();
        });
      } finally {
        ended.resolve();
      }
    };
    this.#options.nursery.startSoon(life, `mount ${server.mount.name}`);
    return ended.promise;
  }

  #changed(): void {
    if (this.#servers.every((server) => server.status.state !== "starting")) this.#ready.resolve();
    for (const server of this.#servers) {
      for (const tool of this.#toolsOf(server)) this.#known.set(tool.name, { server, tool });
    }
    this.#offered = this.tools().map(({ mount: _mount, originalName: _name, ...info }) => info);
    for (const listener of this.#listeners) listener();
  }

  #toolsOf(server: MountedServer): readonly MountedTool[] {
    const mount = server.mount.name;
    const byName = new Map<string, MountedTool>();
    for (const info of server.tools) {
      const name = mountedName(mount, info.name);
      if (name !== `${mount}__${info.name}`)
        this.#warnOnce(name, { mount, tool: info.name, name }, "a mounted tool was given another name");
      if (byName.has(name))
        this.#warnOnce(
          `twice ${name}`,
          { mount, tool: info.name },
          "a mounted server lists a tool twice; the first is used",
        );
      else byName.set(name, { ...info, name, originalName: info.name, mount });
    }
    return [...byName.values()];
  }

  #warnOnce(key: string, facts: object, message: string): void {
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    this.#options.logger.warn(facts, message);
  }

  /** No tool of that name was ever listed; perhaps because its mount never came up. */
  #unknown(name: string): McpError {
    const mount = this.#servers.find((server) => name.startsWith(mountedName(server.mount.name, "")));
    if (mount && mount.status.state !== "up") return mount.unreachable();
    return new ToolNotFoundError(name);
  }
}
