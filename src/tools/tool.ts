/** What a tool is. One value in one file; it parses nothing, catches nothing and knows no socket. */
import * as z from "zod";
import type { Caller } from "../authority/caller.ts";
import type { Grant } from "../authority/grant.ts";
import type { SharedCache } from "../cache/cache.ts";
import type { JsonObject } from "../content/json.ts";
import { InvalidInputError } from "../errors.ts";
import type { Finding } from "../peer/finding.ts";
import type { Peer } from "../peer/peer.ts";
import type { PeerTarget, RpcOptions } from "../peer/rpc.ts";
import type { PeerDiagnosis } from "../peer/trace.ts";
import type { OutboxEntry } from "../task/outbox.ts";
import type { TaskQueue } from "../task/queue.ts";
import type { Scheduler } from "../workflow/scheduler/index.ts";
import type { Workflows } from "../workflow/run/workflows.ts";

/** How an attempt ended, when no lease is named with it. */
export type UnfencedOutcome = OutboxEntry["outcome"];

/** What {@link ToolContext.findPeers} looks for. */
export interface PeerSearch {
  /** Names of discovery mechanisms; absent means all. */
  readonly methods?: readonly string[] | undefined;
  readonly timeoutMs: number;
  readonly limit: number;
}

/** The node as a tool sees it. */
export interface ToolContext {
  readonly caller: Caller;
  /** Aborts when the caller gives up or the deadline passes. */
  readonly signal: AbortSignal;
  /** This node's peer id; "" if it has no libp2p host. */
  readonly selfPeerId: string;
  /** Whether this node serves peers, since when (milliseconds since 1970), and on which TCP port (0 if none). */
  readonly p2p: { readonly running: boolean; readonly startedAtMs: number; readonly listenPort: number };
  /** The queue at `target`; this node's own if the target names nobody. */
  queue(target: PeerTarget): TaskQueue;
  /**
   * Ends a task of this node's own queue for a caller that kept no fencing token, as old peers do. Accepted only
   * while the first lease ever given for the task is in force and in the caller's hands.
   *
   * @throws LeaseTokenRequiredError (also for any other node's queue), LeaseLostError, TaskNotFoundError, TaskFinishedError
   */
  completeUnfenced(target: PeerTarget, taskId: string, outcome: UnfencedOutcome): Promise<void>;
  /** The workflows at `target`; this node's own if the target names nobody. */
  workflows(target: PeerTarget): Workflows;
  /** The cache at `target`; this node's own if the target names nobody. */
  cache(target: PeerTarget): SharedCache;
  /** The peer id of whoever serves `target`: this node's own if the target names nobody. */
  peerIdOf(target: PeerTarget): Promise<string>;
  /** The status of the node at `target`, in the shape of the old wire (contract.md 2.6). */
  status(target: PeerTarget, detail: boolean, options: Omit<RpcOptions, "signal">): Promise<JsonObject>;
  /** Tells the node at `target` that `peerId` is alive. Answers in the shape of the old wire (contract.md 2.11). */
  heartbeat(target: PeerTarget, peerId: string, clock: JsonObject | undefined): Promise<JsonObject>;
  /** Calls a tool of the node at `target`: its own tools and those of its mounted servers. */
  callTool(target: PeerTarget, name: string, args: JsonObject, timeoutMs: number): Promise<JsonObject>;
  /** The workflow scheduler of this node. */
  scheduler(): Scheduler;
  /** Peers this node has heard from, newest first. */
  peers(): readonly Peer[];
  /** Looks for peers now. */
  findPeers(search: PeerSearch): Promise<readonly Peer[]>;
  /** Looks for what keeps this node from finding and being found; takes a few seconds. */
  checkUp(): Promise<readonly Finding[]>;
  /** Looks at a peer from all sides; takes up to ten seconds. @throws UnreachableError if this node has no libp2p host */
  why(target: PeerTarget): Promise<PeerDiagnosis>;
  /** Milliseconds since 1970, by this node's clock. */
  epochMs(): number;
  /** Whether the caller asked to be told how far the call is. */
  readonly isHeard: boolean;
  /** Tells the caller how far the call is, if it asked to be told. */
  progress(done: number, total?: number, message?: string): void;
}

/** Hints about a tool for hosts, as MCP defines them. */
export interface ToolAnnotations {
  readonly title: string;
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** A tool, as its file defines it. */
export interface ToolDefinition<I, O> {
  readonly name: string;
  readonly description: string;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  readonly annotations: ToolAnnotations;
  /** What the caller must hold. */
  readonly grant: Grant | ((input: I) => Grant);
  /** How long a call may take at most, in milliseconds. Default 60,000. */
  readonly deadlineMs?: number | ((input: I) => number) | undefined;
  run(input: I, context: ToolContext): Promise<O>;
}

/** A parsed call of a tool, ready to be allowed and run. */
export interface ToolCall {
  readonly grant: Grant;
  readonly deadlineMs: number;
  run(context: ToolContext): Promise<unknown>;
}

/** A tool, types erased: what the registry holds. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly annotations: ToolAnnotations;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** Parses the arguments. @throws InvalidInputError */
  parse(args: unknown): ToolCall;
}

/** How long a call may take if its tool says nothing. Hosts give up after 60 s by default. */
export const DEFAULT_DEADLINE_MS = 60_000;

/** Makes a {@link Tool} of a definition: ties its schemas, grant and deadline to its `run`. */
export function defineTool<I, O>(definition: ToolDefinition<I, O>): Tool {
  const { grant, deadlineMs = DEFAULT_DEADLINE_MS } = definition;
  return {
    name: definition.name,
    description: definition.description,
    annotations: definition.annotations,
    input: definition.input,
    output: definition.output,
    parse(args) {
      const parsed = definition.input.safeParse(args);
      if (!parsed.success)
        throw new InvalidInputError(`arguments of ${definition.name}: ${describe(parsed.error)}`);
      const input = parsed.data;
      return {
        grant: typeof grant === "function" ? grant(input) : grant,
        deadlineMs: typeof deadlineMs === "function" ? deadlineMs(input) : deadlineMs,
        run: (context) => definition.run(input, context),
      };
    },
  };
}

/** Every issue in one line, each with the path it is about. */
function describe(error: z.ZodError): string {
  return error.issues
    .map(({ path, message }) => (path.length === 0 ? message : `${z.core.toDotPath(path)}: ${message}`))
    .join("; ");
}
