/**
 * Which worker served a session last, so that the next task of the session can go to it first: it may still have the
 * conversation in its model's memory.
 *
 * Such a task waits for that worker in a lane that says until when (routing.ts); then it goes to any worker that can do
 * it. So nothing has to be moved when the time is over, and nothing is lost when the process ends: what is known here is
 * a preference and no promise. Only tasks that a model does have it.
 */
import type { Clock } from "../clock.ts";
import { sessionOf } from "./requirements.ts";
import { laneOf, needsModel, preferredLane, type Routed } from "./routing.ts";

/** How long a task waits for the worker of its session: longer than a claim takes, shorter than anybody minds. */
export const SESSION_PATIENCE_MS = 5000;
/** How long a worker is remembered for a session after its last task. */
export const SESSION_MEMORY_MS = 600_000;
/** How many sessions are remembered; the one that was quiet for longest goes. */
export const MAX_SESSIONS = 10_000;

/** A task that is under way, or was. */
export type Served = Routed & { readonly workerId?: string | undefined };

interface Seen {
  readonly workerId: string;
  readonly atMs: number;
}

/** The sessions of one queue. */
export class Sessions {
  readonly #clock: Clock;
  /** Insertion order is the order of the last task. */
  readonly #sessions = new Map<string, Seen>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes who serves the session of a task, if it has one. */
  served(task: Served): void {
    const session = affine(task);
    const { workerId } = task;
    if (session === undefined || workerId === undefined || workerId === "") return;
    this.#sessions.delete(session);
    this.#sessions.set(session, { workerId, atMs: this.#clock.epochMs() });
    const [quietest] = this.#sessions.keys();
    if (this.#sessions.size > MAX_SESSIONS && quietest !== undefined) this.#sessions.delete(quietest);
  }

  /** The lane in which a new task waits. */
  laneFor(task: Routed): string {
    const lane = laneOf(task);
    const session = affine(task);
    const seen = session === undefined ? undefined : this.#sessions.get(session);
    const nowMs = this.#clock.epochMs();
    if (!seen || nowMs - seen.atMs > SESSION_MEMORY_MS) return lane;
    return preferredLane(lane, seen.workerId, nowMs + SESSION_PATIENCE_MS);
  }
}

/** The session that decides where a task goes; undefined if none does. */
export function affine(task: Routed): string | undefined {
  // A task for one worker alone has no choice, and its lane says so.
  if (!needsModel(task.type) || task.payload["sticky_worker_id"] !== undefined) return undefined;
  return sessionOf(task.payload);
}
