/** What a settlement, a cancellation or a lost lease makes of a task: the rules that all engines share. */
import { canonicalJson } from "../content/canonical-json.ts";
import type { JsonObject } from "../content/json.ts";
import type { Settlement } from "../task/store.ts";
import type { TaskError, TaskEvent } from "../task/task.ts";
import { PHASE, type Phase } from "./phase.ts";

/** How a task leaves the phase that it is in. */
export interface Effect {
  readonly phase: Phase;
  /** When the next attempt may begin; only in the phase `delayed`. */
  readonly dueMs?: number | undefined;
  /** Whether the attempt that ends here counts. */
  readonly attemptCounts: boolean;
  /** The lease is worth nothing any more. Otherwise it stays known: it ran out and may still bring a result, or it brought one. */
  readonly endsLease?: boolean;
  readonly event: TaskEvent["kind"];
  readonly detail?: string | undefined;
  /** What becomes of result and error; absent means that they stay as they are. */
  readonly outcome?: { readonly result?: JsonObject | undefined; readonly error?: TaskError | undefined };
}

/** The error of a task that was given up because its workers went away. */
const LEASE_EXPIRED: TaskError = {
  code: "E_LEASE_EXPIRED",
  message: "the worker stopped renewing its lease, and no attempt is left",
  failureClass: "lost",
};

/** What a settlement does. A retry whose time has come already is ready at once. */
export function settlementEffect(settlement: Settlement, nowMs: number): Effect {
  let effect: Effect;
  switch (settlement.kind) {
    case "completed":
      effect = {
        phase: PHASE.completed,
        attemptCounts: true,
        event: "completed",
        outcome: { result: settlement.result },
      };
      break;
    case "failed":
      effect = {
        phase: settlement.deadLetter ? PHASE.dead : PHASE.failed,
        attemptCounts: true,
        event: settlement.deadLetter ? "dead-lettered" : "failed",
        detail: describe(settlement.error),
        outcome: { result: settlement.result, error: settlement.error },
      };
      break;
    case "retried":
      effect = {
        ...(settlement.notBeforeMs > nowMs
          ? { phase: PHASE.delayed, dueMs: settlement.notBeforeMs }
          : { phase: PHASE.ready }),
        attemptCounts: true,
        endsLease: true,
        event: "retried",
        detail: describe(settlement.error),
        outcome: { result: settlement.result, error: settlement.error },
      };
      break;
    case "released":
      effect = {
        phase: PHASE.ready,
        attemptCounts: false,
        endsLease: true,
        event: "released",
        detail: settlement.reason,
      };
      break;
  }
  return effect;
}

/** What the end of a lease does to a task: back to its place, or the end if its attempts are used up. */
export function expiryEffect(attempt: number, maxAttempts: number): Effect {
  if (attempt < maxAttempts) return { phase: PHASE.ready, attemptCounts: true, event: "expired" };
  return {
    phase: PHASE.dead,
    attemptCounts: true,
    event: "dead-lettered",
    detail: describe(LEASE_EXPIRED),
    outcome: { error: LEASE_EXPIRED },
  };
}

/** What becomes of a task whose own record is damaged: no worker can do it any more, and somebody must be told. */
export function damageEffect(message: string): Effect {
  const error: TaskError = { code: "E_STORE_CORRUPT", message, failureClass: "internal" };
  return {
    phase: PHASE.dead,
    attemptCounts: true,
    event: "dead-lettered",
    detail: describe(error),
    outcome: { error },
  };
}

/** What a cancellation does; what an earlier attempt produced goes. */
export function cancellationEffect(reason: string): Effect {
  return {
    phase: PHASE.cancelled,
    attemptCounts: true,
    endsLease: true,
    event: "cancelled",
    detail: reason,
    outcome: { error: { code: "E_CANCELLED", message: reason, failureClass: "cancelled" } },
  };
}

/**
 * Whether a settlement says again what ended the task under the same lease.
 *
 * @param result - what the task was completed with
 */
export function isRepetition(settlement: Settlement, phase: Phase, result: JsonObject | undefined): boolean {
  if (settlement.kind === "completed")
    return phase === PHASE.completed && canonicalJson(result) === canonicalJson(settlement.result);
  return settlement.kind === "failed" && (phase === PHASE.failed || phase === PHASE.dead);
}

function describe(error: TaskError): string {
  return `${error.code}: ${error.message}`;
}
