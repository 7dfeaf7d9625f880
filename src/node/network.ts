/** Third step of opening a node: the libp2p host, what it answers, and telling others where it is. */
import { callerName } from "../authority/caller.ts";
import { serveCacheMethods } from "../cache/methods.ts";
import { serveReplicaMethods } from "../cache/replica-methods.ts";
import { startReplication } from "../cache/replicate.ts";
import type { OldWireNode, P2pHost } from "../p2p/index.ts";
import { readCapabilities } from "../peer/capabilities.ts";
import { startHeartbeat } from "../peer/heartbeat.ts";
import { nodeHeartbeat, nodeStatus, toolCall } from "../peer/methods.ts";
import type { ServedMethod } from "../peer/rpc.ts";
import { serve } from "../peer/serve.ts";
import { serveTaskMethods } from "../task/methods.ts";
import { p2pTransport } from "../transport/index.ts";
import { serveWorkflowMethods } from "../workflow/run/methods.ts";
import type { Foundation } from "./foundation.ts";
import { discoveryConfig } from "./discovery-config.ts";
import { isFirst } from "./processes/share.ts";
import { reachOf } from "./reach-config.ts";
import type { Network, Serving } from "./rooms.ts";

/** A node that has no peers. */
const ALONE: Network = {
  host: undefined,
  peerId: "",
  multiaddrs: () => [],
  announce: () => Promise.resolve(),
};

/** Opens the libp2p host, unless the configuration says that there is none. */
export async function openNetwork(foundation: Foundation, serving: Serving): Promise<Network> {
  const { config, clock, logger, nursery, closers, authority, folder, table } = foundation;
  if (!config.p2p) return ALONE;
  if (!isFirst(foundation.share)) {
    const { identityOf } = await import("./identity.ts");
    return { ...ALONE, peerId: (await identityOf(config.dataDir)).peerId };
  }
  // libp2p takes half a second to load, which a node without peers need not wait for.
  const { createReach, loadIdentity, openP2pHost, readSwarmKey, startLookout } =
    await import("../p2p/index.ts");
  const { limitsOf, readAccess, watchAccess } = await import("./protection.ts");
  const { createDiscoveries, createMechanisms } = await import("../discovery/index.ts");
  const discovery = await discoveryConfig(foundation);
  const host = await openP2pHost({
    privateKey: await loadIdentity(folder.identity),
    listen: config.listen,
    announce: config.announce,
    nursery,
    clock,
    logger: logger.child({ room: "p2p" }),
    authority,
    methods: methodsOf(foundation, serving),
    onMcp: (channel, caller) => serving.serveStream(p2pTransport(channel), caller),
    oldWire: oldWireOf(foundation, serving),
    sharedToken: config.token,
    sendTokenToOldPeers: config.sendTokenToOldPeers,
    discoveries: createDiscoveries(discovery),
    mechanisms: [...(await createReach(reachOf(config))), ...(await createMechanisms(discovery))],
    searchOrder: config.searchOrder,
    limits: limitsOf(config),
    access: await readAccess(config),
    swarmKey: config.swarmKeyFile === undefined ? undefined : await readSwarmKey(config.swarmKeyFile),
    table,
  });
  closers.add("the libp2p host", () => host.close());
  const watching = logger.child({ room: "p2p" });
  nursery.startSoon(() => watchAccess(config, watching, (lists) => host.setAccess(lists)), "access file");
  replicate(foundation, host);
  const keeping = { table, nursery, clock, ownPeerId: host.peerId, logger: logger.child({ room: "peer" }) };
  startLookout({ ...keeping, discoveries: host.discoveries });
  startHeartbeat({
    ...keeping,
    rpc: host.rpc,
    intervalMs: config.heartbeatMs,
    capabilities: () => serving.capabilities(),
    connect: (peerId) => host.connectKnown(peerId),
    gossip: foundation.scheduling.gossipOver(host),
  });
  return {
    host,
    peerId: host.peerId,
    multiaddrs: () => host.multiaddrs(),
    announce: (mcpUrl) => announce(foundation, host, mcpUrl),
  };
}

/** Keeps copies of the cache at those peers that are to have one. */
function replicate(
  { config, cache, cacheReplicas, nursery, clock, logger, table, closers }: Foundation,
  host: P2pHost,
): void {
  const { peers: given = [], connected = false } = cacheReplicas;
  const named = config.cachePeers.map((name) =>
    name.startsWith("/") ? { multiaddr: name } : { peerId: name },
  );
  const peers = [...given, ...named];
  if (peers.length === 0 && !connected) return;
  const replication = startReplication({
    cache,
    rpc: host.rpc,
    clock,
    logger: logger.child({ room: "cache" }),
    nursery,
    peers,
    connected: connected
      ? // Anybody may connect; a copy goes to nodes of ours only, and only theirs is taken in.
        () => table.list().flatMap(({ peerId, connected: is }) => (is && host.isOurs(peerId) ? [peerId] : []))
      : undefined,
  });
  closers.add("the copies of the cache", async () => replication.stop());
}

/** The table of methods that peers can call. */
function methodsOf(foundation: Foundation, serving: Serving): readonly ServedMethod[] {
  const { queue, cache, workflows } = foundation;
  return [
    ...serveTaskMethods(queue),
    ...serveWorkflowMethods(workflows),
    ...serveCacheMethods(cache),
    ...foundation.scheduling.methods,
    ...serveReplicaMethods({ store: cache.store, clock: foundation.clock }),
    serve(nodeStatus, ({ detail }) => serving.status(detail)),
    serve(nodeHeartbeat, (told, { caller }) => {
      const capabilities = readCapabilities({ capabilities: told.capabilities });
      // Only whoever may work here gets this far.
      if (caller.kind === "peer")
        foundation.table.heard(caller.peerId, { trusted: true, seen: true, capabilities });
      const answer = serving.heartbeat(told.peerId, told.clock, callerName(caller));
      const own = serving.capabilities();
      return Promise.resolve({
        ...answer,
        at_ms: foundation.clock.epochMs(),
        ...(own && { capabilities: own }),
        gossip: foundation.scheduling.gossipFrom(caller, told.gossip),
      });
    }),
    serve(toolCall, ({ name, args }, { caller, signal }) =>
      serving.callToolForPeer(name, args, caller, signal),
    ),
  ];
}

/** The node as old peers see it. */
function oldWireOf({ authority, queue, presence, cache }: Foundation, serving: Serving): OldWireNode {
  return {
    authority,
    queue,
    presence,
    cache,
    status: (detail) => serving.status(detail),
    callTool: (name, args, caller, signal) => serving.callToolForPeer(name, args, caller, signal),
    toolNames: () => serving.toolNames(),
  };
}

async function announce(
  { config, closers, share }: Foundation,
  host: P2pHost,
  mcpUrl: string | undefined,
): Promise<void> {
  if (config.announceFile === "off") return;
  const [multiaddr] = host.multiaddrs();
  if (multiaddr === undefined) return;
  const { writeAnnounce } = await import("../discovery/index.ts");
  const handle = await writeAnnounce(config.announceFile, {
    peerId: host.peerId,
    multiaddrs: host.multiaddrs(),
    mcpUrl,
    nodePid: share === undefined ? undefined : process.ppid,
  });
  closers.add("the announcement", () => handle.remove());
}
