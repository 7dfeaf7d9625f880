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
import {
  Cancelled,
  type CancelScope,
  failAfter,
  isCancelled,
  type Nursery,
  NurseryClosedError,
  TimeoutError,
} from "../nursery/index.ts";
import type { Tool, ToolContext } from "../tools/index.ts";
import { answerOf, asResult, failureOf, type ToolAnswer } from "./result.ts";
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
  /** The scope that the caller runs in and may cancel: the call runs inside it. Default: in the nursery, by itself. */
  readonly scope?: CancelScope | undefined;
  readonly onProgress?: ProgressListener | undefined;
  /** Nothing but `signal` ends a call of a mounted tool. Default false: {@link UPSTREAM_DEADLINE_MS} does, too. */
  readonly untilAborted?: boolean | undefined;
}

/** Calls tools by their names. */
export interface Dispatch {
  /**
   * Calls any tool. Resolves with a result also when the call failed.
   *
   * @throws ToolNotFoundError if there is no such tool, and the cancellation if the caller gave up
   */
  call(name: string, args: JsonObject, options: ToolCallOptions): Promise<CallToolResult>;
  /** The call of a tool of this node itself; undefined if there is none of that name. */
  own(name: string): OwnCall | undefined;
}

/** Calls a tool of this node. Resolves also when the call failed. @throws the cancellation if the caller gave up */
export type OwnCall = (args: JsonObject, options: ToolCallOptions) => Promise<ToolAnswer>;

/** What a call adds to the node, for the context of the tool. */
export interface CallFacts {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** Whether anybody hears of the progress. */
  readonly isHeard: boolean;
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

/** Makes the dispatch over `tools` and the tools of `upstreams`. */
export function createDispatch(options: DispatchOptions): Dispatch {
  const { upstreams } = options;
  const own = new Map(options.tools.map((tool) => [tool.name, ownCall(tool, options)]));
  return {
    own: (name) => own.get(name),
    async call(name, args, call) {
      const ownTool = own.get(name);
      if (ownTool) return asResult(await ownTool(args, call));
      if (upstreams?.listTools().some((offered) => offered.name === name))
        return callMounted(name, args, call, upstreams, options);
      throw new ToolNotFoundError(name, { hint: "list the tools to see what there is" });
    },
  };
}

function ownCall(tool: Tool, options: DispatchOptions): OwnCall {
  const { authority, nursery, context } = options;
  const { name } = tool;
  return async (args, call) => {
    try {
      const parsed = tool.parse(args);
      authority.require(call.caller, parsed.grant);
      return answerOf(
        await bounded(nursery, name, parsed.deadlineMs, call, (facts) =>
          parsed.run(context(call.caller, facts)),
        ),
      );
    } catch (error) {
      return failed(error, name, call, options);
    }
  };
}

async function callMounted(
  name: string,
  args: JsonObject,
  call: ToolCallOptions,
  upstreams: Upstream,
  options: DispatchOptions,
): Promise<CallToolResult> {
  const { authority, nursery } = options;
  try {
    authority.require(call.caller, `tools:${name}`);
    const timeoutMs = call.untilAborted ? Number.POSITIVE_INFINITY : UPSTREAM_DEADLINE_MS;
    return await bounded(nursery, name, timeoutMs, call, ({ signal, progress }) =>
      upstreams.call(name, args, { signal, onProgress: progress }),
    );
  } catch (error) {
    return asResult(failed(error, name, call, options));
  }
}

/** The answer for what a call threw. @throws it again if nobody waits for an answer */
function failed(
  error: unknown,
  name: string,
  call: ToolCallOptions,
  { logger }: DispatchOptions,
): ToolAnswer {
  if (call.signal?.aborted || call.scope?.cancelCalled) throw error;
  const cause = explained(error);
  note(logger, name, call.caller, cause);
  return failureOf(cause);
}

const nobodyHears: ProgressListener = () => undefined;

/** Runs a call under its deadline. @throws {@link DeadlineError} when that passes */
async function bounded<T>(
  nursery: Nursery,
  name: string,
  timeoutMs: number,
  { signal, scope, onProgress: progress = nobodyHears }: ToolCallOptions,
  run: (facts: CallFacts) => Promise<T>,
): Promise<T> {
  const call = (own: CancelScope): Promise<T> => abortable(own, run, progress);
  try {
    return await (scope ? failAfter(timeoutMs, call) : nursery.run(call, { timeoutMs, signal }, name));
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    const message = `${name} was not done within ${timeoutMs} ms; what it began may still happen`;
    throw new DeadlineError(message, { cause: error });
  }
}

/** However a tool rejects once its call is cancelled, it is the consequence of that. */
async function abortable<T>(
  scope: CancelScope,
  run: (facts: CallFacts) => Promise<T>,
  progress: ProgressListener,
): Promise<T> {
  scope.throwIfCancelled();
  try {
    return await run({
      progress,
      isHeard: progress !== nobodyHears,
      // Made when asked for: most calls end without anybody having looked at their signal.
      get signal() {
        return scope.signal;
      },
    });
  } catch (error) {
    if (!scope.cancelled || isCancelled(error)) throw error;
    throw new Cancelled("cancelled during a tool call", { cause: error });
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
