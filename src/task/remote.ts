/**
 * A task queue on a peer. Each call is one request; only a wait may take several, and outlives broken connections.
 */
import { randomUUID } from "node:crypto";
import { type Clock, systemClock } from "../clock.ts";
import { parseInput } from "../content/parse.ts";
import { McpError } from "../errors.ts";
import type { Method, PeerTarget, RpcClient } from "../peer/rpc.ts";
import { pause } from "./bounded-wait.ts";
import { releaseAll, taskMethods } from "./methods.ts";
import type { CallOptions, TaskQueue, WaitOutcome } from "./queue.ts";
import { claimRequestSchema, readyRequestSchema, waitMsSchema } from "./schemas.ts";

/** The longest wait in one request, so that a peer which went away is noticed. */
export const WAIT_CHUNK_MS = 60_000;
/** How much later than the end of a wait its answer may arrive: time to dial and to travel. */
export const ANSWER_SLACK_MS = 10_000;
/** The pause after the first failure in a row while waiting; it doubles up to {@link MAX_PAUSE_MS}. */
const FIRST_PAUSE_MS = 250;
/** The longest pause: a node that restarts should be found again soon. */
const MAX_PAUSE_MS = 5000;

/** Begins keys that nobody asked for: they only make one request safe to repeat. */
const OWN_KEY_PREFIX = "request:";

function newOwnKey(): string {
  return OWN_KEY_PREFIX + randomUUID();
}

/** Whether a key was made here for one request, so that nothing is lost where keys mean nothing. */
export function isOwnKey(key: string): boolean {
  return key.startsWith(OWN_KEY_PREFIX);
}

/**
 * The queue of the peer at `target`.
 *
 * Its errors are those of the peer, as a `RemoteError` with the same code, and those of the way there.
 *
 * @param clock - measures waits. Default: the machine's
 */
export function remoteQueue(rpc: RpcClient, target: PeerTarget, clock: Clock = systemClock): TaskQueue {
  const call = <I, O>(method: Method<I, O>, input: I, options: CallOptions | undefined, waitMs?: number) =>
    rpc.call(target, method, input, {
      signal: options?.signal,
      timeoutMs: waitMs === undefined ? undefined : waitMs + ANSWER_SLACK_MS,
    });
  const m = taskMethods;
  const queue: TaskQueue = {
    async submit(tasks, options) {
      // A key for each task makes it safe to send the request again when the answer is lost.
      const keyed = tasks.map((task) => ({ ...task, idempotencyKey: task.idempotencyKey ?? newOwnKey() }));
      return (await call(m.submit, { tasks: keyed }, options)).receipts;
    },
    async claim(request, options) {
      const { waitMs } = parseInput(claimRequestSchema, request, "claim");
      const { claims } = await rpc.call(target, m.claim, request, {
        signal: options?.signal,
        timeoutMs: waitMs === undefined ? undefined : waitMs + ANSWER_SLACK_MS,
        onLate: (late) => releaseAll(queue, late.claims),
      });
      return claims;
    },
    async ready(request, options) {
      const { waitMs } = parseInput(readyRequestSchema, request, "ready");
      return (await call(m.ready, request, options, waitMs)).ready;
    },
    renew: async (lease, leaseMs, options) => (await call(m.renew, { lease, leaseMs }, options)).leaseUntilMs,
    note: async (lease, note, options) => void (await call(m.note, { lease, note }, options)),
    complete: async (lease, result, options) => void (await call(m.complete, { lease, result }, options)),
    fail: async (lease, failure, options) => void (await call(m.fail, { lease, failure }, options)),
    release: async (lease, reason, options) => void (await call(m.release, { lease, reason }, options)),
    async lost(lease, waitMs, options) {
      parseInput(waitMsSchema, waitMs, "wait time");
      return (await call(m.lost, { lease, waitMs }, options, waitMs)).lost;
    },
    cancel: async (taskId, reason, options) => void (await call(m.cancel, { taskId, reason }, options)),
    get: async (taskId, options) => (await call(m.get, { taskId }, options)).task,
    list: (filter, options) => call(m.list, filter ?? {}, options),
    async follow(taskId, point, waitMs, options) {
      parseInput(waitMsSchema, waitMs, "wait time");
      return call(m.follow, { taskId, point, waitMs }, options, waitMs);
    },
    stats: (options) => call(m.stats, {}, options),
    async wait(taskId, timeoutMs, options) {
      parseInput(waitMsSchema, timeoutMs, "wait time");
      const bounds = { clock, timeoutMs, signal: options?.signal };
      return waitInChunks(bounds, (chunkMs) =>
        call(m.wait, { taskId, timeoutMs: chunkMs }, options, chunkMs),
      );
    },
  };
  return queue;
}

/** Asks again until the task has ended or the time is up; failures that may pass are waited out, and the last one thrown. */
async function waitInChunks(
  bounds: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
  ask: (chunkMs: number) => Promise<WaitOutcome>,
): Promise<WaitOutcome> {
  const { clock, signal } = bounds;
  const untilMs = clock.now() + bounds.timeoutMs;
  let pauseMs = FIRST_PAUSE_MS;
  for (;;) {
    const leftMs = Math.max(0, untilMs - clock.now());
    try {
      const outcome = await ask(Math.min(leftMs, WAIT_CHUNK_MS));
      if (outcome.finished || clock.now() >= untilMs) return outcome;
      pauseMs = FIRST_PAUSE_MS;
    } catch (error) {
      const mayPass = error instanceof McpError && error.retryable;
      if (!mayPass || clock.now() + pauseMs >= untilMs) throw error;
      await pause({ clock, timeoutMs: pauseMs, signal });
      pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    }
  }
}
