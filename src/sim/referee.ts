/** Watches what the queues of all peers do, and notes what they must not do. */
import type { JsonObject } from "../content/json.ts";
import type { TaskStore } from "../task/store.ts";
import { replacing } from "./interpose.ts";
import type { Home } from "../workflow/scheduler/index.ts";

/** Which promise was broken. */
export type Promised = "once" | "fenced" | "kept" | "in-order" | "agreed" | "in-time";

/** A broken promise. */
export interface Violation {
  readonly atMs: number;
  readonly promised: Promised;
  /** What was seen, in words. */
  readonly seen: string;
}

/** No more are kept: whoever reads them looks at the first. */
const MAX_VIOLATIONS = 20;
/** How many waiting tasks are compared with one that was given out. */
const MAX_COMPARED = 1000;

/** A result that was accepted. */
export interface Accepted {
  readonly name: string;
  readonly result: string;
  readonly atMs: number;
}

/** Judges one simulation. */
export class Referee {
  readonly violations: Violation[] = [];
  /** By the queue's id of the task. */
  readonly accepted: Map<string, Accepted> = new Map<string, Accepted>();
  /** How often tasks were given to somebody. */
  grants = 0;
  lastAcceptedAtMs = 0;
  readonly #lastToken = new Map<string, number>();
  readonly #nowMs: () => number;
  readonly #note: (line: string) => void;

  /** @param note - is told what happens, for the trace */
  constructor(nowMs: () => number, note: (line: string) => void) {
    this.#nowMs = nowMs;
    this.#note = note;
  }

  /** Notes a broken promise. */
  found(promised: Promised, seen: string): void {
    this.#note(`VIOLATION ${promised}: ${seen}`);
    if (this.violations.length < MAX_VIOLATIONS)
      this.violations.push({ atMs: this.#nowMs(), promised, seen });
  }

  /** `store`, whose claims and results are looked at. @param home - the scheduler over it, once there is one */
  watching(store: TaskStore, peerId: string, home: () => Home | undefined): TaskStore {
    const claim: TaskStore["claim"] = async (wanted, nowMs) => {
      const claims = await store.claim(wanted, nowMs);
      for (const { task, token } of claims) {
        const name = nameOf(task.payload);
        this.#granted(task.id, token, `${name} of ${peerId} to ${wanted.holder} #${token}`);
        await this.#checkOrder(home(), name, task, wanted.holder);
      }
      return claims;
    };
    const settle: TaskStore["settle"] = async (lease, settlement, nowMs) => {
      await store.settle(lease, settlement, nowMs);
      if (settlement.kind !== "completed") return;
      const task = await store.get(lease.taskId);
      if (task?.result) this.#settled(task.id, nameOf(task.payload), task.result);
    };
    return replacing(store, { claim, settle });
  }

  #granted(queueId: string, token: number, facts: string): void {
    this.grants += 1;
    this.#note(`granted ${facts}`);
    const before = this.#lastToken.get(queueId) ?? 0;
    if (token <= before) this.found("fenced", `token ${token} after ${before}: ${facts}`);
    if (this.accepted.has(queueId))
      this.found("once", `given out again after its result was accepted: ${facts}`);
    this.#lastToken.set(queueId, token);
  }

  #settled(queueId: string, name: string, result: JsonObject): void {
    const text = JSON.stringify(result);
    const before = this.accepted.get(queueId);
    if (before?.result === text) return;
    this.#note(`accepted ${name} ${text}`);
    if (before) this.found("once", `${name}: ${text} was accepted after ${before.result}`);
    if (result["token"] !== this.#lastToken.get(queueId))
      this.found("fenced", `${name}: ${text} was accepted, but it had been given out again since`);
    this.lastAcceptedAtMs = this.#nowMs();
    this.accepted.set(queueId, { name, result: text, atMs: this.#nowMs() });
  }

  /** Whether anything that `asker` might have had should have come before `task`. */
  async #checkOrder(
    home: Home | undefined,
    name: string,
    task: { readonly id: string; readonly priority: number },
    asker: string,
  ): Promise<void> {
    if (!home) return;
    for (const waiting of await home.list(MAX_COMPARED)) {
      const isLater =
        waiting.priority < task.priority || (waiting.priority === task.priority && waiting.queueId > task.id);
      if (isLater) continue;
      const verdict = await home.explain(waiting.taskId, asker);
      if (verdict?.may === true && verdict.why === "owner")
        this.found("in-order", `${name} went to ${asker} before ${waiting.taskId}, which it owns too`);
    }
  }
}

function nameOf(payload: JsonObject): string {
  return String(payload["task_id"]);
}
