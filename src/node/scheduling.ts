/** The workflow scheduler of a node, and what connects it to the network once that is open. */
import type { Caller } from "../authority/caller.ts";
import type { Clock } from "../clock.ts";
import type { NodeConfig } from "../config.ts";
import type { JsonObject } from "../content/json.ts";
import { ShuttingDownError } from "../errors.ts";
import type { Nursery } from "../nursery/index.ts";
import { type HeartbeatGossip, LIVE_TIMEOUT_BEATS } from "../peer/heartbeat.ts";
import type { Logger } from "../logger.ts";
import type { ServedMethod } from "../peer/rpc.ts";
import type { PeerTable } from "../peer/table.ts";
import type { P2pHost } from "../p2p/index.ts";
import type { LocalTaskQueue } from "../task/local.ts";
import { remoteQueue } from "../task/remote.ts";
import { VectorClock } from "../workflow/clock.ts";
import {
  type FarHome,
  gossipOf,
  Home,
  Membership,
  remoteHome,
  Scheduler,
  serveWorkflowMethods,
  takeGossip,
} from "../workflow/scheduler/index.ts";
import { tokenSource } from "./github-issues.ts";
import type { Introduction } from "./rooms.ts";

/** What of a node the scheduler is opened with. */
export interface Surroundings {
  readonly config: NodeConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nursery: Nursery;
}

/** The name of a node that has no peers. */
const ALONE = "this-node";

/** The scheduler among the rooms of a node. */
export interface Scheduling {
  readonly scheduler: Scheduler;
  readonly home: Home;
  /** What peers may ask it. */
  readonly methods: readonly ServedMethod[];
  /** Called once, when all rooms are open. */
  introduce(introduction: Introduction): void;
  /** What travels with the heartbeats that this node sends. */
  gossipOver(host: P2pHost): HeartbeatGossip;
  /** A peer that may work here has sent a heartbeat. @returns what to tell it */
  gossipFrom(caller: Caller, said: unknown): JsonObject | undefined;
}

/** Opens the scheduler over the node's queue. */
export async function openScheduling(
  opening: Surroundings,
  queue: LocalTaskQueue,
  table: PeerTable,
): Promise<Scheduling> {
  const { config, clock, nursery } = opening;
  const logger = opening.logger.child({ room: "workflow" });
  const selfId = config.p2p
    ? (await (await import("./identity.ts")).identityOf(config.dataDir)).peerId
    : ALONE;
  let introduced: Introduction | undefined;
  const membership = new Membership({
    clock,
    selfId,
    weight: Math.max(1, config.workers),
    timeoutMs: LIVE_TIMEOUT_BEATS * config.heartbeatMs,
    isGone: (peerId) => table.get(peerId)?.stale === true,
  });
  const policy = config.assignment;
  const vector = new VectorClock(selfId);
  const home = new Home({ queue, membership, policy, clock, vector });
  const scheduler = new Scheduler({
    clock,
    logger,
    nursery,
    selfId,
    home,
    membership,
    vector,
    policy,
    leaseMs: config.leaseMs,
    queue: queue.as(selfId),
    homes: () => homesOf(introduced?.network.host, table),
    deliver(entry, target) {
      if (!introduced) throw new ShuttingDownError("the node is still starting");
      return introduced.work.deliver(entry, target);
    },
  });
  return {
    scheduler,
    home,
    methods: serveWorkflowMethods(home, (holder) => queue.as(holder)),
    introduce: (introduction) => {
      introduced = introduction;
      if (config.githubWorkflows.length > 0)
        nursery.startSoon(() => followWorkflows(opening, home, logger), "workflows on GitHub");
    },
    gossipOver: (host) => ({
      say: (peerId) => (host.isOurs(peerId) ? gossipOf(scheduler) : undefined),
      hear: (peerId, said) => {
        if (host.isOurs(peerId)) takeGossip(scheduler, peerId, said, logger);
      },
    }),
    gossipFrom(caller, said) {
      if (caller.kind !== "peer") return undefined;
      takeGossip(scheduler, caller.peerId, said, logger);
      return gossipOf(scheduler);
    },
  };
}

async function followWorkflows({ config, clock }: Surroundings, home: Home, logger: Logger): Promise<never> {
  const { followGithubWorkflows } = await import("../discovery/index.ts");
  return followGithubWorkflows({
    sources: config.githubWorkflows,
    api: config.githubApi,
    token: tokenSource(config),
    intervalMs: config.githubWorkflowsMs,
    clock,
    logger,
    submit: (task, edition) => home.submitOnce(task, edition),
  });
}

/**
 * The nodes that this one works for: those that are there, connected, and ours. Working for a stranger would mean to give
 * its words to the host of this node.
 */
function homesOf(host: P2pHost | undefined, table: PeerTable): readonly FarHome[] {
  if (!host) return [];
  return table.list().flatMap(({ peerId, connected, stale }) => {
    if (!connected || stale === true || !host.isOurs(peerId)) return [];
    const queue = remoteQueue(host.rpc, { peerId });
    return [{ peerId, queue, home: remoteHome(host.rpc, { peerId }, queue) }];
  });
}
