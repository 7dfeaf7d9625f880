/** What a node says about itself, in the shape of the old wire's status with members of our own added. */
import type { JsonObject } from "../content/json.ts";
import type { QueueStats } from "../task/queue.ts";
import type { Presence } from "../workflow/presence.ts";

/** Facts that the answer is made of, all measured, none assumed. */
export interface StatusFacts {
  readonly peerId: string;
  readonly name: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly multiaddrs: readonly string[];
  /** Task types this node's worker takes; empty if it has none. */
  readonly taskTypes: readonly string[];
  readonly worker: { readonly slots: number; readonly running: number };
  /** Names of the tools that can be called here. */
  readonly tools: readonly string[];
  readonly mounts: readonly object[];
  readonly presence: Presence;
  readonly stats: QueueStats;
  /** How many processes are the node. Default 1. */
  readonly processes?: number | undefined;
}

/** The part that everybody may see. */
export function briefStatus(
  facts: Pick<StatusFacts, "peerId" | "name" | "version" | "taskTypes">,
): JsonObject {
  return {
    ok: true,
    capabilities: {
      task_types: facts.taskTypes,
      models: [],
      endpoints_by_model: {},
      endpoint_types_by_model: {},
      hwtest: {},
      resource_keys: [],
    },
    peer_id: facts.peerId,
    nat: { autonat: { supported: false, status: "unavailable", code: null } },
    session: "",
    name: facts.name,
    version: facts.version,
  };
}

/** With scheduler, worker, queue and mounts: for callers with the grant `observe`. */
export function detailedStatus(facts: StatusFacts): JsonObject {
  return {
    ...briefStatus(facts),
    scheduler: facts.presence.scheduler(),
    local_worker: {
      enabled: facts.worker.slots > 0,
      docker_enabled: facts.taskTypes.some((type) => type.startsWith("docker.")),
      supported_task_types: facts.taskTypes,
      slots: facts.worker.slots,
      running: facts.worker.running,
    },
    queue: {
      by_state: facts.stats.byState,
      ready: facts.stats.ready,
      dead_letters: facts.stats.deadLetters,
      oldest_ready_s: facts.stats.oldestReadyMs / 1000,
    },
    multiaddrs: facts.multiaddrs,
    tools: facts.tools,
    mounts: facts.mounts,
    // What is told of the worker and the uptime is the first one's.
    ...((facts.processes ?? 1) > 1 && { processes: facts.processes ?? 1 }),
    uptime_s: (facts.nowMs - facts.startedAtMs) / 1000,
  };
}
