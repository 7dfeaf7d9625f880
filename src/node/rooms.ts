/** What the steps of opening a node give to each other. */
import type { Transport } from "@modelcontextprotocol/client";
import type { Caller } from "../authority/caller.ts";
import type { JsonObject } from "../content/json.ts";
import type { Capabilities, Gpu } from "../peer/capabilities.ts";
import type { P2pHost } from "../p2p/index.ts";
import type { CallToolResult } from "../server/index.ts";
import type { SessionRecord } from "../transport/index.ts";
import type { OutboxEntry } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import type { Delivery } from "../workflow/scheduler/index.ts";

/** What the later steps bring. */
export interface Introduction {
  readonly network: Network;
  readonly work: Work;
}

/** The MCP side of a node. */
export interface Serving {
  /** Called once, when all rooms are open. */
  introduce(introduction: Introduction): void;
  /** Starts HTTP, if the configuration wants it. @returns the URL of the MCP endpoint */
  listen(): Promise<string | undefined>;
  /** Lets HTTP's connections end while others take over, within the drain time. @returns the sessions to go on with */
  drain(): Promise<readonly SessionRecord[]>;
  /** A transport from within this process, for the owner. */
  connect(): Promise<Transport>;
  /** Serves standard input and output until the input ends. */
  serveStdio(): Promise<void>;
  /** Serves one stream of a peer. */
  serveStream(transport: Transport, caller: Caller): void;
  /** Calls a tool for a task: with the rights of a trusted peer, never the owner's, and until `options.signal`. */
  callToolForTask(name: string, args: JsonObject, options: TaskToolOptions): Promise<CallToolResult>;
  /** Whether a tool says that calling it twice does what calling it once does; false if there is no such tool. */
  isRepeatable(name: string): boolean;
  /** Calls a tool for a peer, in the shape of the old wire. */
  callToolForPeer(name: string, args: JsonObject, caller: Caller, signal: AbortSignal): Promise<JsonObject>;
  /** The names of all tools that can be called here now. */
  toolNames(): readonly string[];
  /** Tells `listener` whenever {@link toolNames} would answer differently. @returns ends that */
  onToolsChanged(listener: () => void): () => void;
  status(detail: boolean): Promise<JsonObject>;
  /** What the node can do now, as peers are told; undefined while it is starting. */
  capabilities(): Capabilities | undefined;
  heartbeat(peerId: string, clock: JsonObject | undefined, from: string): JsonObject;
}

/** Options of a tool call that a task makes. */
export interface TaskToolOptions {
  readonly signal: AbortSignal;
  readonly onProgress?: ((done: number, total?: number, message?: string) => void) | undefined;
}

/** The node among its peers. */
export interface Network {
  /** Undefined if the configuration wants none. */
  readonly host: P2pHost | undefined;
  /** "" without a host. */
  readonly peerId: string;
  multiaddrs(): readonly string[];
  /** Writes the announce file, if there is to be one. */
  announce(mcpUrl: string | undefined): Promise<void>;
}

/** The worker of a node, as its status shows it. */
export interface Work {
  /** Task types it takes now; empty if the node does not work. */
  readonly taskTypes: readonly string[];
  /** Models that its tasks can use now. */
  readonly models: readonly string[];
  /** What there is to say about where the models are. */
  readonly backends: readonly JsonObject[];
  /** The container engine and its version, if it has one. */
  readonly engine?: string | undefined;
  /** The graphics processors of the machine, as soon as they are known. */
  readonly gpus?: readonly Gpu[] | undefined;
  readonly slots: number;
  readonly running: number;
  /** Brings a result to the queue of its task, or puts it into the outbox until that is back. */
  deliver(entry: OutboxEntry, queue: TaskQueue): Promise<Delivery>;
}
