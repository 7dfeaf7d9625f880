/** A node in small for tests of tools and server: real stores, queue, cache, authority and nursery; no network. */
import { createAuthority } from "../../src/authority/authority.ts";
import { type Caller, callerName, OWNER } from "../../src/authority/caller.ts";
import { openLocalCache } from "../../src/cache/local.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { LeaseTokenRequiredError, UnreachableError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type Nursery, openHost } from "../../src/nursery/index.ts";
import type { Peer } from "../../src/peer/peer.ts";
import type { PeerTarget } from "../../src/peer/rpc.ts";
import { type CallFacts, createMcpServer, type McpServer, type Upstream } from "../../src/server/index.ts";
import { openMemoryStores, type Stores } from "../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../src/task/local.ts";
import { openTestScheduler } from "../support/scheduler.ts";
import { openWorkflows } from "../../src/workflow/run/local.ts";
import { allResources, allTools, type Tool, type ToolContext } from "../../src/tools/index.ts";

/** What a test may change about its node. */
export interface SmallNodeOptions {
  readonly tools?: readonly Tool[];
  readonly upstreams?: Upstream;
  readonly clock?: Clock;
  /** Default: new ones in memory. The node closes them. */
  readonly stores?: Stores;
  /** Peers that it has heard from. */
  readonly peers?: readonly Peer[];
  /** Peers that discovery finds. */
  readonly discoverable?: readonly Peer[];
}

/** A node without a network. */
export interface SmallNode {
  readonly server: McpServer;
  readonly local: LocalTaskQueue;
  readonly nursery: Nursery;
  /** Heartbeats that arrived, as peer ids. */
  readonly heartbeats: string[];
  /** Calls a tool as the owner and gives its structured answer. */
  call(name: string, args?: JsonObject, caller?: Caller): Promise<JsonObject>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The peer id of every small node. */
export const SELF = "12D3KooWTestServer";
/** The address by which tools can name it. */
export const SELF_ADDRESS: string = `/ip4/127.0.0.1/tcp/9710/p2p/${SELF}`;
/** A caller that may only ask for status. */
export const STRANGER: Caller = {
  kind: "peer",
  peerId: "12D3KooWStranger",
  sameMachine: false,
  provedToken: false,
};
/** A node that has proven the shared token. */
export const FRIEND: Caller = {
  kind: "peer",
  peerId: "12D3KooWFriend",
  sameMachine: false,
  provedToken: true,
};

/** Opens a small node. Dispose of it to end everything that it began. */
export async function openSmallNode(options: SmallNodeOptions = {}): Promise<SmallNode> {
  const { clock = systemClock, tools = allTools, upstreams, peers = [], discoverable = [] } = options;
  const { stores = openMemoryStores() } = options;
  const host = openHost({ clock });
  const { nursery } = host;
  const local = openLocalQueue({ store: stores.tasks, nursery, clock });
  const flows = openWorkflows({
    store: stores.workflows,
    queue: local.queue,
    nursery,
    clock,
    conductor: SELF,
  });
  const cache = openLocalCache({ store: stores.cache, clock });
  const heartbeats: string[] = [];

  const scheduler = openTestScheduler({ clock, nursery, queue: local, selfId: SELF });

  const context = (caller: Caller, { signal, progress, isHeard }: CallFacts): ToolContext => ({
    caller,
    signal,
    progress,
    isHeard,
    selfPeerId: SELF,
    p2p: { running: true, startedAtMs: clock.epochMs(), listenPort: 9710 },
    epochMs: () => clock.epochMs(),
    queue(target) {
      requireHere(target);
      return local.as(callerName(caller));
    },
    workflows(target) {
      requireHere(target);
      return flows.as(callerName(caller));
    },
    cache(target) {
      requireHere(target);
      return cache;
    },
    async peerIdOf(target) {
      requireHere(target);
      return SELF;
    },
    async status(target) {
      requireHere(target);
      return { ok: true, capabilities: { task_types: ["echo"] }, peer_id: SELF };
    },
    async heartbeat(target, peerId) {
      requireHere(target);
      heartbeats.push(peerId);
      return { ok: true, peer: peerId, scheduler: {}, peer_id: SELF };
    },
    async callTool(target, name, args) {
      requireHere(target);
      const answer = await server.callTool(name, args, { caller, signal });
      return { ok: answer.isError !== true, tool: name, result: answer.structuredContent, peer_id: SELF };
    },
    async completeUnfenced(target, taskId, outcome) {
      if (target.multiaddr !== undefined) throw new LeaseTokenRequiredError(taskId);
      await local.completeHeld(callerName(caller), taskId, outcome);
    },
    scheduler: () => scheduler,
    peers: () => peers,
    findPeers: async ({ limit }) => discoverable.slice(0, limit),
    checkUp: () => Promise.resolve([]),
    why: () => Promise.reject(new UnreachableError("this node has no libp2p host")),
  });
  const server = createMcpServer({
    name: "small",
    version: "0.0.0",
    tools,
    resources: allResources,
    ...(upstreams && { upstreams }),
    context,
    authority: createAuthority(),
    nursery,
    logger: silentLogger,
  });

  return {
    server,
    local,
    nursery,
    heartbeats,
    async call(name, args = {}, caller = OWNER) {
      const { structuredContent } = await server.callTool(name, args, { caller });
      if (!isJsonObject(structuredContent)) throw new TypeError("no structured answer");
      return structuredContent;
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await flows.stop();
      await local.stop();
      await host.close();
      await stores.close();
    },
  };
}

/** Every other node is out of reach. */
function requireHere({ peerId, multiaddr }: PeerTarget): void {
  const here =
    (peerId === undefined || peerId === SELF) && (multiaddr === undefined || multiaddr === SELF_ADDRESS);
  if (!here) throw new UnreachableError(`nobody at ${peerId ?? multiaddr}`);
}
