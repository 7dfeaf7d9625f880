/** A workflow scheduler over a real queue, with the homes that a test gives it. */
import type { Clock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import type { LocalTaskQueue } from "../../src/task/local.ts";
import { VectorClock } from "../../src/workflow/clock.ts";
import {
  type FarHome,
  Home,
  Membership,
  type PolicyName,
  Scheduler,
  type SchedulerOptions,
} from "../../src/workflow/scheduler/index.ts";

/** How long a peer that is not heard of counts as there, in tests. */
export const TEST_TIMEOUT_MS = 10_000;

/** What a test may change. */
export interface TestSchedulerOptions {
  readonly clock: Clock;
  readonly nursery: Nursery;
  readonly queue: LocalTaskQueue;
  readonly selfId: string;
  readonly policy?: PolicyName;
  readonly weight?: number;
  readonly leaseMs?: number;
  readonly homes?: () => readonly FarHome[];
  readonly deliver?: SchedulerOptions["deliver"];
  readonly isGone?: (peerId: string) => boolean;
}

/** Opens a scheduler; it ends with the nursery. */
export function openTestScheduler(options: TestSchedulerOptions): Scheduler & { readonly home: Home } {
  const { clock, nursery, queue, selfId, policy = "hash", homes = () => [], leaseMs = 30_000 } = options;
  const { weight, isGone } = options;
  const membership = new Membership({ clock, selfId, weight, timeoutMs: TEST_TIMEOUT_MS, isGone });
  const vector = new VectorClock(selfId);
  const home = new Home({ queue, membership, policy, clock, vector });
  const scheduler = new Scheduler({
    clock,
    nursery,
    selfId,
    home,
    membership,
    vector,
    policy,
    homes,
    leaseMs,
    logger: silentLogger,
    queue: queue.as(selfId),
    deliver: options.deliver ?? deliverNow,
  });
  return Object.assign(scheduler, { home });
}

/** Brings a result home at once. */
const deliverNow: SchedulerOptions["deliver"] = async ({ lease, outcome }, target) => {
  if (outcome.kind === "failed") throw new TypeError("workflow tasks are only completed");
  await target.complete(lease, outcome.result);
  return "accepted";
};
