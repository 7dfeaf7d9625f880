/**
 * One call of one tool, from its name to its result, the same for every wire.
 *
 * Find it, parse the arguments, ask the authority, set the deadline, run it in the nursery. This is the only place
 * where what a tool throws becomes a result: tools catch nothing.
 */
import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Authority } from "../authority/authority.ts";
import type { Caller } from "../authority/caller.ts";
import { callerName } from "../authority/caller.ts";
import type { JsonObject } from "../content/json.ts";
import { DeadlineError, errorFacts, ShuttingDownError, ToolNotFoundError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abortable, isCancelled, type Nursery, NurseryClosedError, TimeoutError } from "../nursery/index.ts";
import type { Tool, ToolContext } from "../tools/index.ts";
import { failureOf, resultOf } from "./result.ts";
import type { ProgressListener, Upstream } from "./upstream.ts";

/**
 * How long a caller's call of a mounted tool may take: it names no limit, and without one a lost server would hold it
 * for ever. A task's call has none: its lease bounds it, and it may well take a day.
 */
export const UPSTREAM_DEADLINE_MS = 600_000;

/** Who calls, and how they hear of it. */
export interface ToolCallOptions {
  readonly caller: Caller;
  /** Aborts the call. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressListener | undefined;
  /** Nothing but `signal` ends a call of a mounted tool. Default false: {@link UPSTREAM_DEADLINE_MS} does, too. */
  readonly untilAborted?: boolean | undefined;
}

/** Calls a tool by its name. */
export type Dispatch = (name: string, args: JsonObject, options: ToolCallOptions) => Promise<CallToolResult>;

/** What a call adds to the node, for the context of the tool. */
export interface CallFacts {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** What {@link createDispatch} needs. */
export interface DispatchOptions {
  readonly tools: readonly Tool[];
  readonly upstreams?: Upstream | undefined;
  readonly context: (caller: Caller, call: CallFacts) => ToolContext;
  readonly authority: Authority;
  readonly nursery: Nursery;
  readonly logger: Logger;
}

/** A call of a tool that was found. */
type Route = (args: JsonObject, call: ToolCallOptions) => Promise<CallToolResult>;

/**
 * Makes the dispatch over `tools` and the tools of `upstreams`.
 *
 * The function it returns resolves with a result also when the call failed. It rejects with
 * {@link ToolNotFoundError} if there is no such tool, and with the cancellation if `signal` aborted.
 */
export function createDispatch(options: DispatchOptions): Dispatch {
  const { upstreams, logger } = options;
  const own = new Map(options.tools.map((tool) => [tool.name, ownRoute(tool, options)]));
  const routeOf = (name: string): Route | undefined => {
    const route = own.get(name);
    if (route || !upstreams?.listTools().some((offered) => offered.name === name)) return route;
    return mountedRoute(name, upstreams, options);
  };

  return async (name, args, call) => {
    const route = routeOf(name);
    if (!route) throw new ToolNotFoundError(name, { hint: "list the tools to see what there is" });
    try {
      return await route(args, call);
    } catch (error) {
      if (call.signal?.aborted) throw error;
      const cause = explained(error);
      note(logger, name, call.caller, cause);
      return failureOf(cause);
    }
  };
}

function ownRoute(tool: Tool, { authority, nursery, context }: DispatchOptions): Route {
  return async (args, call) => {
    const parsed = tool.parse(args);
    authority.require(call.caller, parsed.grant);
    const run = (facts: CallFacts): Promise<unknown> => parsed.run(context(call.caller, facts));
    return resultOf(await bounded(nursery, tool.name, parsed.deadlineMs, call, run));
  };
}

function mountedRoute(name: string, upstreams: Upstream, { authority, nursery }: DispatchOptions): Route {
  return async (args, call) => {
    authority.require(call.caller, `tools:${name}`);
    const timeoutMs = call.untilAborted ? Number.POSITIVE_INFINITY : UPSTREAM_DEADLINE_MS;
    return bounded(nursery, name, timeoutMs, call, ({ signal, progress }) =>
      upstreams.call(name, args, { signal, onProgress: progress }),
    );
  };
}

/** Runs a call in the nursery under its deadline. @throws {@link DeadlineError} when that passes */
async function bounded<T>(
  nursery: Nursery,
  name: string,
  timeoutMs: number,
  { signal, onProgress }: ToolCallOptions,
  run: (facts: CallFacts) => Promise<T>,
): Promise<T> {
  const progress = onProgress ?? (() => undefined);
  try {
    // However a tool rejects once its signal has aborted, it is the consequence of that.
    const call = (): Promise<T> => abortable((aborts) => run({ signal: aborts, progress }));
    return await nursery.run(call, { timeoutMs, signal }, name);
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    const message = `${name} was not done within ${timeoutMs} ms; what it began may still happen`;
    throw new DeadlineError(message, { cause: error });
  }
}

/** A cancellation that the caller did not ask for means that this node is shutting down. */
function explained(error: unknown): unknown {
  const ending = isCancelled(error) || error instanceof NurseryClosedError;
  return ending ? new ShuttingDownError("this node is shutting down", { cause: error }) : error;
}

/** A defect is worth a line with everything known about it; what a caller can mend is not. */
function note(logger: Logger, tool: string, caller: Caller, error: unknown): void {
  const { code, failureClass, message } = errorFacts(error);
  const facts = { tool, caller: callerName(caller), code };
  if (failureClass === "internal") logger.error({ ...facts, err: error }, `tool failed: ${message}`);
  else logger.debug(facts, `tool refused: ${message}`);
}
