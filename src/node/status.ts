/** What a node says about itself, in the shape of the old wire's status with members of our own added. */
import type { JsonObject } from "../content/json.ts";
import { bounded, type Capabilities } from "../peer/capabilities.ts";
import type { QueueStats } from "../task/queue.ts";
import type { Presence } from "../workflow/presence.ts";
import { coresHere, memoryHere } from "./hardware.ts";
import type { Work } from "./rooms.ts";

/** What the worker says of itself. */
type WorkFacts = Omit<Work, "deliver">;

/** Facts that the answer is made of, all measured, none assumed. */
export interface StatusFacts {
  readonly peerId: string;
  readonly name: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: number;
  readonly multiaddrs: readonly string[];
  readonly work: WorkFacts;
  /** Names of the tools that can be called here. */
  readonly tools: readonly string[];
  readonly mounts: readonly object[];
  readonly presence: Presence;
  readonly stats: QueueStats;
  /** How many processes are the node. Default 1. */
  readonly processes?: number | undefined;
}

/** The part that everybody may see. */
export function briefStatus(facts: Pick<StatusFacts, "peerId" | "name" | "version" | "work">): JsonObject {
  const { work } = facts;
  return {
    ok: true,
    capabilities: {
      task_types: work.taskTypes,
      models: work.models,
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
  const { work } = facts;
  return {
    ...briefStatus(facts),
    worker: { ...capabilitiesOf(work) },
    scheduler: facts.presence.scheduler(),
    local_worker: {
      enabled: work.slots > 0,
      docker_enabled: work.taskTypes.some((type) => type.startsWith("docker.")),
      supported_task_types: work.taskTypes,
      slots: work.slots,
      running: work.running,
      ...(work.backends.length > 0 && { model_backends: work.backends }),
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

/** What peers are told with every heartbeat; of the machine only if it works. */
export function capabilitiesOf(work: WorkFacts): Capabilities {
  const { taskTypes, models, engine, gpus } = work;
  const memory = memoryHere();
  return bounded({
    task_types: taskTypes,
    models,
    slots: slotsOf(work),
    ...(engine !== undefined && { engine }),
    ...(work.slots > 0 && {
      cores: coresHere(),
      memory_bytes: memory.total,
      memory_free_bytes: memory.free,
      ...(gpus && { gpus }),
    }),
  });
}

function slotsOf({ slots, running }: WorkFacts): { readonly total: number; readonly free: number } {
  return { total: slots, free: Math.max(0, slots - running) };
}
