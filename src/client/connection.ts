/** One negotiated MCP connection: the SDK's client with our errors, deadlines and cancellation. */
import {
  Client as SdkClient,
  type ClientOptions,
  type Implementation,
  type Progress,
  SdkError,
  SdkErrorCode,
  type Transport,
} from "@modelcontextprotocol/client";
import type { JsonObject } from "../content/json.ts";
import { type McpError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abandonOnCancel, abortable, rethrowIfCancelled, shield } from "../nursery/index.ts";
import { failureOf } from "./failure.ts";
import type { ProgressListener, ToolInfo, ToolResult } from "./tool.ts";

/** How long a server may be silent to the question for its era. On stdio that counts as "an old one"; `npx` needs its time. */
const PROBE_TIMEOUT_MS = 15_000;
/** The SDK's own limits are 60 s; ours are those of the scope around the call, so the SDK gets the longest timer there is. */
const NO_SDK_TIMEOUT_MS = 0x7fffffff;
/** Several changes of a server's tools within this time are one. */
const LIST_CHANGED_DEBOUNCE_MS = 100;
/** How long closing a connection may take; a process gets its graces within it. */
const CLOSE_LIMIT_MS = 20_000;

/** Options of {@link openConnection}. */
export interface ConnectionOptions {
  /** Gives a fresh transport, not started. Closing it is the connection's business from then on. */
  readonly openTransport: (signal: AbortSignal) => Promise<Transport>;
  /** Who we say we are. */
  readonly clientInfo: Implementation;
  /** What is connected to, for messages. */
  readonly target: string;
  readonly logger: Logger;
  /** Is told when the server says that its tools have changed. Default: the server is not asked to say so. */
  readonly onToolsChanged?: (() => void) | undefined;
  /** Is told once when the connection is gone, whoever ended it. */
  readonly onLost?: (() => void) | undefined;
}

/** A connection. Its methods throw McpErrors, and end with the scope they are called in. */
export interface Connection {
  /** What the server says it is; undefined if it does not say. */
  readonly serverInfo: Implementation | undefined;
  /** Revision of the protocol in use, such as 2026-07-28. */
  readonly protocolVersion: string;
  /** True once it cannot carry requests any more. */
  readonly lost: boolean;
  listTools(): Promise<readonly ToolInfo[]>;
  callTool(name: string, args: JsonObject, onProgress?: ProgressListener): Promise<ToolResult>;
  /** Ends it and what carries it. Repeating it is harmless. */
  close(): Promise<void>;
}

/**
 * Connects and agrees on a protocol revision, the newest first. Gives up when the enclosing scope is cancelled.
 *
 * @throws UnreachableError, and whatever the server answers
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const first = await attempt(options, "auto");
  if (first.ok) return first.connection;
  // Some old servers end at any request before `initialize`, also at the question for their era.
  const again = first.diedOfProbe ? await attempt(options, "legacy") : first;
  if (again.ok) return again.connection;
  throw again.failure;
}

type Attempt =
  | { readonly ok: true; readonly connection: Connection }
  | { readonly ok: false; readonly failure: McpError; readonly diedOfProbe: boolean };

async function attempt(options: ConnectionOptions, mode: "auto" | "legacy"): Promise<Attempt> {
  const { target } = options;
  let transport: Transport | undefined;
  let trouble: string | undefined;
  try {
    transport = await abortable(options.openTransport);
    // Before the SDK's: it passes trouble on, but not while it asks for the era.
    transport.onerror = (error) => (trouble = error.message);
    const sdk = new SdkClient(options.clientInfo, sdkOptions(options, mode));
    sdk.onerror = (error) =>
      options.logger.debug({ target, reason: error.message }, "trouble on a connection");
    const connection = new SdkConnection(sdk, transport, options);
    await abandonOnCancel(sdk.connect(transport, { timeout: NO_SDK_TIMEOUT_MS }));
    return { ok: true, connection };
  } catch (error) {
    await shield(CLOSE_LIMIT_MS, async () => transport?.close());
    rethrowIfCancelled(error);
    const isProcess = transport !== undefined && "pid" in transport;
    const diedOfProbe =
      isProcess && error instanceof SdkError && error.code === SdkErrorCode.EraNegotiationFailed;
    return { ok: false, failure: notConnected(failureOf(error, { target }), target, trouble), diedOfProbe };
  }
}

/** A connection that breaks before it stands carried nothing. */
function notConnected(failure: McpError, target: string, trouble: string | undefined): McpError {
  if (failure.code !== "E_CONNECTION_LOST" && failure.code !== "E_UNREACHABLE") return failure;
  const why = trouble ?? failure.message;
  return new UnreachableError(why.includes(target) ? why : `${target} cannot be reached: ${why}`, {
    cause: failure,
  });
}

function sdkOptions({ onToolsChanged }: ConnectionOptions, mode: "auto" | "legacy"): ClientOptions {
  return {
    versionNegotiation: { mode, probe: { timeoutMs: PROBE_TIMEOUT_MS } },
    ...(onToolsChanged
      ? {
          listChanged: {
            tools: {
              autoRefresh: false,
              debounceMs: LIST_CHANGED_DEBOUNCE_MS,
              onChanged: () => onToolsChanged(),
            },
          },
        }
      : {}),
  };
}

class SdkConnection implements Connection {
  readonly #sdk: SdkClient;
  readonly #transport: Transport;
  readonly #target: string;
  #lost = false;
  #closing: Promise<void> | undefined;

  constructor(sdk: SdkClient, transport: Transport, { target, onLost }: ConnectionOptions) {
    this.#sdk = sdk;
    this.#transport = transport;
    this.#target = target;
    sdk.onclose = () => {
      if (this.#lost) return;
      this.#lost = true;
      onLost?.();
    };
  }

  get serverInfo(): Implementation | undefined {
    return this.#sdk.getServerVersion();
  }

  get protocolVersion(): string {
    return this.#sdk.getNegotiatedProtocolVersion() ?? "unknown";
  }

  get lost(): boolean {
    return this.#lost;
  }

  async listTools(): Promise<readonly ToolInfo[]> {
    const options = { timeout: NO_SDK_TIMEOUT_MS, cacheMode: "refresh" } as const;
    const { tools } = await this.#ask(undefined, (signal) =>
      this.#sdk.listTools(undefined, { ...options, signal }),
    );
    return tools;
  }

  callTool(name: string, args: JsonObject, onProgress?: ProgressListener): Promise<ToolResult> {
    const onprogress = ({ progress, total, message }: Progress): void =>
      onProgress?.(progress, total, message);
    // Asking for progress costs a notification each, so only if somebody listens.
    const options = { timeout: NO_SDK_TIMEOUT_MS, ...(onProgress ? { onprogress } : {}) };
    return this.#ask(name, (signal) =>
      this.#sdk.callTool({ name, arguments: { ...args } }, { ...options, signal }),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#sdk.close();
    // The SDK forgets a transport that has told of its end, but its process may still have to be ended.
    await this.#transport.close();
  }

  async #ask<T>(tool: string | undefined, send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await abortable(send);
    } catch (error) {
      rethrowIfCancelled(error);
      throw failureOf(error, { target: this.#target, tool });
    }
  }
}
