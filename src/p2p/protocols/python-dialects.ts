/**
 * The two dialects that Python peers speak on `/mcp+p2p/1.0.0`, on the serving side only.
 *
 * PY-1 begins with an `initialize` that no MCP client would send, and then has methods with the names of MCP but
 * results of its own shape. PY-2 is another message altogether, one a stream. Both are told apart from MCP by shape
 * (profiles, sections 2.4 and 2.5), so a stream that began as MCP stays MCP.
 */
import type { PeerCaller } from "../../authority/caller.ts";
import { covers } from "../../authority/grant.ts";
import type { Clock } from "../../clock.ts";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import type { ErrorFacts } from "../../errors.ts";
import type { CallContext } from "../../peer/rpc.ts";
import { idOf, MCP_P2P_PROTOCOL, type RequestId, RPC_PREFIX } from "../message.ts";
import { VERSION } from "../../version.ts";
import type { P2pLimits } from "../limits.ts";
import { type AnswerOptions, answerOld } from "./task-queue/answer.ts";

/** The tool that takes an old request and gives the old answer. */
export const OLD_REQUEST_TOOL = "task_queue.rpc";
/** What PY-1 always answers, whatever was asked for. */
const PY1_VERSION = "2024-11-05";
/** The profile that this transport is. */
const P2P_PROFILE = "mcp++/p2p-transport";
/** There is no bound on frames here; Python peers want a number, and this one they never reach. */
const MANY_FRAMES = 2 ** 31 - 1;

const UNKNOWN_METHOD = -32601;
const UNAUTHORIZED = -32001;
const TOOL_ERROR = -32002;

const METHODS = new Set(["initialize", "tools/list", "tools.list", "tools/call", "tools.call"]);

/** A request of a Python peer, ready to be answered. */
export interface PythonCall {
  readonly id: RequestId;
  /** Whether the stream ends with the answer. */
  readonly isLast: boolean;
  /** The whole answer. Rejects only if the scope it runs in is cancelled. */
  run(context: PythonContext): Promise<JsonObject>;
  /** The whole answer for what could not be run. */
  failed(facts: ErrorFacts): JsonObject;
}

/** What became of a tool call: what the tool returned, or a word for what went wrong. */
type ToolOutcome = { readonly value: unknown; readonly error?: undefined } | { readonly error: string };

/** Who asks, known to have come over a connection. */
export interface PythonContext extends Pick<CallContext, "signal"> {
  readonly caller: PeerCaller;
}

/** What reading the dialects needs. */
export interface DialectOptions {
  readonly answer: AnswerOptions;
  readonly limits: P2pLimits;
  readonly clock: Clock;
}

/** What a message is: a call, something to be left unanswered, or no business of this file. */
export type Reading = PythonCall | "ignored" | undefined;

/** The dialects of one stream. */
export class PythonDialects {
  readonly #options: DialectOptions;
  #isPy1 = false;

  constructor(options: DialectOptions) {
    this.#options = options;
  }

  /** Looks at the next message of the stream. */
  read(message: JsonObject): Reading {
    const { method, type, jsonrpc } = message;
    if (jsonrpc === undefined && typeof type === "string") return this.#py2(message);
    if (typeof method !== "string" || method.startsWith(RPC_PREFIX)) return undefined;
    if (method === "initialize" && isPythonInitialize(message["params"])) this.#isPy1 = true;
    if (!this.#isPy1) return undefined;
    const id = idOf(message);
    return id === undefined ? "ignored" : this.#py1(id, method, message["params"]);
  }

  #py1(id: RequestId, method: string, given: unknown): PythonCall {
    const params = isJsonObject(given) ? given : {};
    const failed = (message: string, code = TOOL_ERROR): JsonObject => ({
      jsonrpc: "2.0",
      id,
      error: { code, message },
    });
    const done = (result: JsonObject): JsonObject => ({ jsonrpc: "2.0", id, result });
    return {
      id,
      isLast: false,
      failed: ({ message }) => failed(message),
      run: async (context) => {
        if (!METHODS.has(method)) return failed("method_not_found", UNKNOWN_METHOD);
        if (method === "initialize") return done(this.#initialized());
        if (method.endsWith("list")) return done({ tools: this.#tools(context.caller) });
        const { name } = params;
        const outcome = await this.#call(typeof name === "string" ? name : "", params["arguments"], context);
        if (outcome.error === undefined) return done({ content: outcome.value });
        return failed(outcome.error, outcome.error === "unauthorized" ? UNAUTHORIZED : TOOL_ERROR);
      },
    };
  }

  #py2(message: JsonObject): Reading {
    const { type, method, id = "", params } = message;
    if (type !== "request" || typeof method !== "string" || typeof id !== "string") return "ignored";
    const { answer, clock } = this.#options;
    const response = (result: unknown, error: string | null): JsonObject => ({
      type: "response",
      method,
      params: {},
      id,
      result,
      error,
      sender: answer.peerId,
      timestamp: clock.epochMs() / 1000,
    });
    return {
      id,
      isLast: true,
      failed: (facts) => response(null, facts.message),
      run: async (context) => {
        const outcome = await this.#call(method, params, context);
        return outcome.error === undefined ? response(outcome.value, null) : response(null, outcome.error);
      },
    };
  }

  async #call(name: string, given: unknown, context: PythonContext): Promise<ToolOutcome> {
    const args = isJsonObject(given) ? given : {};
    const { answer } = this.#options;
    if (name === OLD_REQUEST_TOOL) return { value: await answerOld(args, context, answer) };
    // The token comes among the arguments, where the tool itself must not see it.
    const { token, ...rest } = args;
    const request = { op: "call_tool", tool: name, args: rest, ...(token !== undefined && { token }) };
    const outcome = await answerOld(request, context, answer);
    const { ok, error, result } = outcome;
    if (ok === true) return { value: "result" in outcome ? result : outcome };
    if (error === "tool_not_found") return { error: "unknown_tool" };
    return { error: typeof error === "string" ? error : "tool_error" };
  }

  #initialized(): JsonObject {
    const { answer, limits } = this.#options;
    const profiles = [P2P_PROFILE];
    return {
      ok: true,
      protocolVersion: PY1_VERSION,
      serverInfo: { name: "mcplusplus", version: VERSION },
      capabilities: { tools: { listChanged: false }, mcpPlusPlusProfiles: profiles, experimental: {} },
      transport: MCP_P2P_PROTOCOL,
      server: { peer_id: answer.peerId },
      profile_negotiation: { supports_profile_negotiation: true, mode: "optional_additive", profiles },
      active_profile: P2P_PROFILE,
      limits: {
        max_frame_bytes: limits.maxFrameBytes,
        max_frames: MANY_FRAMES,
        rate_capacity: limits.strangerBurst,
        rate_refill_per_sec: limits.strangerPerSecond,
      },
    };
  }

  #tools(caller: PeerCaller): readonly JsonObject[] {
    const { node } = this.#options.answer;
    const inputSchema = { type: "object" };
    const description = "An operation of the task queue, as its old protocol has it.";
    const grants = node.authority.grantsOf(caller);
    const own = (node.toolNames?.() ?? []).filter((name) => covers(grants, `tools:${name}`));
    return [
      { name: OLD_REQUEST_TOOL, description, inputSchema },
      ...own.map((name) => ({ name, inputSchema })),
    ];
  }
}

/** No MCP client names profiles there, or leaves the version out. */
function isPythonInitialize(params: unknown): boolean {
  if (!isJsonObject(params)) return true;
  return "profiles" in params || "profile" in params || typeof params["protocolVersion"] !== "string";
}
