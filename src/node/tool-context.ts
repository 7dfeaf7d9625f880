/** The node as its tools see it: targets become queues and caches, near or far. */
import type { Caller } from "../authority/caller.ts";
import { callerName } from "../authority/caller.ts";
import type { SharedCache } from "../cache/cache.ts";
import { remoteCache } from "../cache/remote.ts";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { LeaseTokenRequiredError, UnreachableError } from "../errors.ts";
import { nodeHeartbeat, nodeStatus, toolCall } from "../peer/methods.ts";
import type { PeerTable } from "../peer/table.ts";
import type { PeerTarget } from "../peer/rpc.ts";
import type { P2pHost } from "../p2p/index.ts";
import type { CallToolResult, McpServer } from "../server/index.ts";
import type { LocalTaskQueue } from "../task/local.ts";
import { remoteQueue } from "../task/remote.ts";
import type { TaskQueue } from "../task/queue.ts";
import type { Doctor } from "./doctor.ts";
import type { ToolContext } from "../tools/tool.ts";
import type { Scheduler } from "../workflow/scheduler/index.ts";
import type { LocalWorkflows } from "../workflow/run/local.ts";
import { remoteWorkflows } from "../workflow/run/remote.ts";

/** What of a node its tools can reach. */
export interface NodeRooms {
  readonly selfPeerId: string;
  readonly startedAtMs: number;
  epochMs(): number;
  readonly queue: LocalTaskQueue;
  readonly workflows: LocalWorkflows;
  readonly cache: SharedCache;
  readonly table: PeerTable;
  readonly p2p: P2pHost | undefined;
  readonly server: McpServer;
  status(detail: boolean): Promise<JsonObject>;
  heartbeat(peerId: string, clock: JsonObject | undefined, from: Caller): JsonObject;
  readonly scheduler: Scheduler;
  readonly doctor: Doctor;
}

/** What a single call adds. */
export interface CallFacts {
  readonly signal: AbortSignal;
  readonly isHeard: boolean;
  progress(done: number, total?: number, message?: string): void;
}

/** Builds the context for one call of `caller`. */
export function toolContext(rooms: NodeRooms, caller: Caller, call: CallFacts): ToolContext {
  return {
    caller,
    // Asked for late: making a signal costs more than everything else here.
    get signal() {
      return call.signal;
    },
    selfPeerId: rooms.selfPeerId,
    get p2p() {
      const { p2p, startedAtMs } = rooms;
      return { running: p2p !== undefined, startedAtMs, listenPort: listenPort(p2p) };
    },
    queue: (target) => queueAt(rooms, target, caller),
    workflows: (target) =>
      isHere(rooms, target) ? rooms.workflows.as(callerName(caller)) : remoteWorkflows(rpcOf(rooms), target),
    cache: (target) => (isHere(rooms, target) ? rooms.cache : remoteCache(rpcOf(rooms), target)),
    peerIdOf: async (target) => (isHere(rooms, target) ? rooms.selfPeerId : hostOf(rooms).resolve(target)),
    status: async (target, detail, options) =>
      isHere(rooms, target)
        ? rooms.status(detail)
        : rpcOf(rooms).call(target, nodeStatus, { detail }, { ...options, signal: call.signal }),
    heartbeat: async (target, peerId, clock) =>
      isHere(rooms, target)
        ? rooms.heartbeat(peerId, clock, caller)
        : rpcOf(rooms).call(target, nodeHeartbeat, { peerId, clock }, { signal: call.signal }),
    callTool: async (target, name, args, timeoutMs) =>
      isHere(rooms, target)
        ? callOwnTool(rooms, name, args, caller, call.signal)
        : rpcOf(rooms).call(target, toolCall, { name, args }, { signal: call.signal, timeoutMs }),
    completeUnfenced: async (target, taskId, outcome) => {
      if (!isHere(rooms, target))
        throw new LeaseTokenRequiredError(taskId, "it is in the queue of another node");
      await rooms.queue.completeHeld(callerName(caller), taskId, outcome);
    },
    scheduler: () => rooms.scheduler,
    peers: () => rooms.table.list(),
    findPeers: async (search) => (rooms.p2p === undefined ? [] : rooms.p2p.findPeers(search)),
    checkUp: () => rooms.doctor.checkUp(),
    why: (target) => rooms.doctor.why(target),
    epochMs: () => rooms.epochMs(),
    isHeard: call.isHeard,
    progress: (done, total, message) => call.progress(done, total, message),
  };
}

/** Calls a tool of this node for `caller` and answers in the shape of the old wire (contract: `tool`, `result`). */
export async function callOwnTool(
  rooms: Pick<NodeRooms, "server" | "selfPeerId">,
  name: string,
  args: JsonObject,
  caller: Caller,
  signal: AbortSignal,
): Promise<JsonObject> {
  const answer = await rooms.server.callTool(name, args, { caller, signal });
  const result = answer.structuredContent ?? answer.content;
  if (answer.isError !== true) return { ok: true, tool: name, result, peer_id: rooms.selfPeerId };
  return { ok: false, tool: name, ...failureOf(answer), peer_id: rooms.selfPeerId };
}

function failureOf(answer: CallToolResult): JsonObject {
  if (isJsonObject(answer.structuredContent)) return answer.structuredContent;
  const text = answer.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
  return { error: text, error_code: "E_TOOL_FAILED" };
}

function isHere(rooms: NodeRooms, target: PeerTarget): boolean {
  if (target.multiaddr !== undefined) return false;
  return target.peerId === undefined || target.peerId === rooms.selfPeerId;
}

function queueAt(rooms: NodeRooms, target: PeerTarget, caller: Caller): TaskQueue {
  return isHere(rooms, target) ? rooms.queue.as(callerName(caller)) : remoteQueue(rpcOf(rooms), target);
}

function hostOf(rooms: NodeRooms): P2pHost {
  if (rooms.p2p === undefined) {
    throw new UnreachableError("this node has no libp2p host", { hint: "start it without --no-p2p" });
  }
  return rooms.p2p;
}

function rpcOf(rooms: NodeRooms): P2pHost["rpc"] {
  return hostOf(rooms).rpc;
}

/** The TCP port of the first listen address; 0 if there is none. */
function listenPort(host: P2pHost | undefined): number {
  const port = host?.multiaddrs()[0]?.match(/\/tcp\/(\d+)/)?.[1];
  return port === undefined ? 0 : Number(port);
}
