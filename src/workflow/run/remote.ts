/** Workflows of a peer. Each call is one request; a wait ends with the connection, and whoever waits asks again. */
import { randomUUID } from "node:crypto";
import type { Method, PeerTarget, RpcClient } from "../../peer/rpc.ts";
import type { CallOptions } from "../../peer/rpc.ts";
import { workflowMethods } from "./methods.ts";
import type { Workflows } from "./workflows.ts";

/** How much later than the end of a wait its answer may arrive: time to dial and to travel. */
const ANSWER_SLACK_MS = 10_000;

/** The workflows of the peer at `target`. Its errors are those of the peer, with the same codes, and those of the way there. */
export function remoteWorkflows(rpc: RpcClient, target: PeerTarget): Workflows {
  const call = <I, O>(method: Method<I, O>, input: I, options: CallOptions | undefined, waitMs?: number) =>
    rpc.call(target, method, input, {
      signal: options?.signal,
      timeoutMs: waitMs === undefined ? undefined : waitMs + ANSWER_SLACK_MS,
    });
  const m = workflowMethods;
  return {
    // A key makes it safe to send the request again when the answer is lost.
    run: (request, options) =>
      call(
        m.run,
        { ...request, idempotencyKey: request.idempotencyKey ?? `request:${randomUUID()}` },
        options,
      ),
    list: (filter, options) => call(m.list, filter ?? {}, options),
    get: async (runId, options) => (await call(m.get, { runId }, options)).run,
    wait: (runId, wait, options) => call(m.wait, { runId, ...wait }, options, wait.timeoutMs),
    events: async (runId, after, options) => (await call(m.events, { runId, after }, options)).events,
    cancel: async (runId, reason, options) => void (await call(m.cancel, { runId, reason }, options)),
    retry: async (runId, from, options) => void (await call(m.retry, { runId, from }, options)),
    answer: async (runId, answer, options) => void (await call(m.answer, { runId, answer }, options)),
    explain: (runId, options) => call(m.explain, { runId }, options),
    replay: (runId, options) => call(m.replay, { runId }, options),
  };
}
