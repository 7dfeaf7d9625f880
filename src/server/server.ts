/** The MCP server of a node: one registry and one dispatch behind every connection and every caller in this process. */
import {
  type CallToolResult,
  type ListToolsResult,
  type Server,
  SERVER_INFO_META_KEY,
  type Transport,
} from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import type { Caller } from "../authority/caller.ts";
import type { JsonObject } from "../content/json.ts";
import { ShuttingDownError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { CancelScope } from "../nursery/index.ts";
import type { ResourceKind } from "../tools/index.ts";
import { Attachment } from "./attachment.ts";
import { createDispatch, type DispatchOptions, type ToolCallOptions } from "./dispatch.ts";
import { createListing } from "./listing.ts";
import { createResources } from "./resources.ts";
import { asResultText } from "./result.ts";
import { sdkServer, type SdkServerOptions } from "./sdk-server.ts";

/** What {@link createMcpServer} needs. */
export interface McpServerOptions extends DispatchOptions {
  readonly name: string;
  readonly version: string;
  /** What a model should know before it uses the tools. */
  readonly instructions?: string | undefined;
  /** What hosts can read. Default: nothing. */
  readonly resources?: readonly ResourceKind[] | undefined;
}

/**
 * Calls a tool inside `scope`, in which its caller runs, and answers JSON text. Resolves also when the call failed.
 *
 * @throws the cancellation if `scope` itself was cancelled
 */
export type PlainTool = (args: JsonObject, scope: CancelScope) => Promise<string>;

/** An MCP server with any number of connections. */
export interface McpServer {
  /**
   * Serves one connection that carries both directions (stdio, libp2p, memory), in whichever era the client opens it.
   * Resolves when attached.
   */
  serveStream(transport: Transport, caller: Caller): Promise<void>;
  /** Serves a transport that carries requests of the stateless era only, of many clients at once. Resolves when attached. */
  serveModern(transport: Transport, caller: Caller): Promise<void>;
  /** Serves one session of the initialize era. Resolves when attached. */
  serveLegacySession(transport: Transport, caller: Caller): Promise<void>;
  /** The tools that `caller` may see. */
  listTools(caller: Caller): ListToolsResult;
  /** The input schema of a tool as hosts see it; undefined if there is no such tool. */
  inputSchemaOf(name: string): JsonObject | undefined;
  /**
   * Calls a tool in this process. Resolves also when the call failed: see `isError`.
   *
   * @throws ToolNotFoundError if there is no such tool, ShuttingDownError after `close`, and what aborted `signal`
   */
  callTool(name: string, args: JsonObject, options: ToolCallOptions): Promise<CallToolResult>;
  /**
   * A tool of this node for callers that speak the stateless era without the SDK: it answers the JSON text of what
   * the SDK's server would send as the result of a plain call. Undefined if there is no such tool, or after `close`.
   */
  plainTool(name: string, caller: Caller): PlainTool | undefined;
  /** Ends every connection; their running calls are cancelled. Idempotent. */
  close(): Promise<void>;
}

/** Creates the MCP server of a node. Calls run in `options.nursery`, which must outlive it. */
export function createMcpServer(options: McpServerOptions): McpServer {
  const { upstreams, authority, logger } = options;
  const listing = createListing(options.tools, upstreams, authority, logger);
  const dispatch = createDispatch(options);
  const kinds = options.resources ?? [];
  const resources = kinds.length === 0 ? undefined : createResources(kinds, options);
  const connections = new Connections({ ...options, listing, dispatch, resources });
  const unsubscribe = upstreams?.onChanged(() => {
    listing.refresh();
    connections.toolsChanged();
  });
  const { name: serverName, version } = options;
  const resultMeta = JSON.stringify({ [SERVER_INFO_META_KEY]: { name: serverName, version } });
  let closing: Promise<void> | undefined;

  return {
    serveStream: (transport, caller) => connections.attach(transport, caller, "serve"),
    serveModern: (transport, caller) => connections.attach(transport, caller, "reject"),
    serveLegacySession: (transport, caller) => connections.connect(transport, caller),
    listTools: (caller) => listing.list(caller),
    inputSchemaOf: (name) => listing.inputSchemaOf(name),
    async callTool(name, args, call) {
      if (closing) throw new ShuttingDownError("the MCP server of this node is closed");
      return dispatch.call(name, args, call);
    },
    plainTool(name, caller) {
      const own = closing ? undefined : dispatch.own(name);
      return own && (async (args, scope) => asResultText(await own(args, { caller, scope }), resultMeta));
    },
    close() {
      unsubscribe?.();
      return (closing ??= connections.closeAll());
    },
  };
}

/** All live connections of a server. */
class Connections {
  readonly #options: SdkServerOptions;
  readonly #logger: Logger;
  readonly #servers = new Set<Server>();
  readonly #closers = new Set<() => Promise<void>>();
  #closed = false;

  constructor(options: SdkServerOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /** Serves a channel through the SDK's entry, which finds out the era. */
  async attach(transport: Transport, caller: Caller, legacy: "serve" | "reject"): Promise<void> {
    this.#requireOpen();
    const attachment = new Attachment(transport, () => this.#closers.delete(close));
    const handle = serveStdio(() => this.#open(caller), {
      transport: attachment,
      legacy,
      onerror: (error) => this.#logger.debug({ err: error }, "MCP connection error"),
    });
    const close = (): Promise<void> => handle.close();
    this.#closers.add(close);
    await attachment.started;
  }

  /** Serves a session of the initialize era. */
  async connect(transport: Transport, caller: Caller): Promise<void> {
    this.#requireOpen();
    const server = this.#open(caller);
    const close = (): Promise<void> => server.close();
    this.#closers.add(close);
    const attachment = new Attachment(transport, () => this.#closers.delete(close));
    await server.connect(attachment);
  }

  /** Tells every client that the list of tools has changed. */
  toolsChanged(): void {
    for (const server of this.#servers) {
      server.sendToolListChanged().catch((error: unknown) => {
        this.#logger.debug({ err: error }, "a client could not be told that the tools have changed");
      });
    }
  }

  async closeAll(): Promise<void> {
    this.#closed = true;
    const results = await Promise.allSettled([...this.#closers].map((close) => close()));
    for (const result of results) {
      if (result.status === "rejected")
        this.#logger.warn({ err: result.reason }, "an MCP connection did not close cleanly");
    }
  }

  #open(caller: Caller): Server {
    const server = sdkServer(this.#options, caller);
    this.#servers.add(server);
    const onclose = (): boolean => this.#servers.delete(server);
    const onerror = (error: Error): void => this.#logger.debug({ err: error }, "MCP protocol error");
    return Object.assign(server, { onclose, onerror });
  }

  #requireOpen(): void {
    if (this.#closed) throw new ShuttingDownError("the MCP server of this node is closed");
  }
}
