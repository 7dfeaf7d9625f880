/** From an old request to its answer, whichever stream brought it: who asks, what is asked, and what went wrong. */
import type { PeerCaller } from "../../../authority/caller.ts";
import { covers, UNKNOWN_CALLER_GRANTS } from "../../../authority/grant.ts";
import type { JsonObject } from "../../../content/json.ts";
import { errorFacts } from "../../../errors.ts";
import type { Logger } from "../../../logger.ts";
import { rethrowIfCancelled } from "../../../nursery/index.ts";
import { isSameToken } from "../../../peer/token.ts";
import { isTruthy } from "./fields.ts";
import { nodeOperations } from "./node.ts";
import { type OldWireNode, type Operation, refused } from "./operation.ts";
import { cacheOperations } from "./shared-cache.ts";
import { taskOperations } from "./tasks.ts";
import { workerOperations } from "./workers.ts";

const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [...taskOperations, ...workerOperations, ...cacheOperations, ...nodeOperations].flatMap((operation) =>
    operation.names.map((name) => [name, operation] as const),
  ),
);

/** What answering needs. */
export interface AnswerOptions {
  readonly node: OldWireNode;
  readonly peerId: string;
  readonly sharedToken: string | undefined;
  readonly logger: Logger;
}

/** Who asks, and until when the answer is wanted. */
export interface Asker {
  readonly caller: PeerCaller;
  readonly signal: AbortSignal;
}

/** The answer to one request. Rejects only if the scope it runs in is cancelled. */
export async function answerOld(
  request: JsonObject,
  asker: Asker,
  options: AnswerOptions,
): Promise<JsonObject> {
  return { peer_id: options.peerId, ...(await answerOf(request, asker, options)) };
}

async function answerOf(
  request: JsonObject,
  { caller: transport, signal }: Asker,
  { node, sharedToken, logger }: AnswerOptions,
): Promise<JsonObject> {
  const caller = callerOf(request["token"], transport, node, sharedToken);
  if (!caller) return refused("unauthorized");
  const { op } = request;
  if (isTruthy(op) && typeof op !== "string")
    return { ...refused("internal_error"), detail: "op is no text" };
  const operation = typeof op === "string" ? OPERATIONS.get(op.trim().toLowerCase()) : undefined;
  if (!operation) return refused("unknown_op");
  try {
    node.authority.require(caller, operation.grant(request));
    return { ok: true, ...(await operation.run(request, { node, caller, signal })) };
  } catch (error) {
    rethrowIfCancelled(error);
    return refusalOf(error, op, logger);
  }
}

/**
 * Who asks: whoever the connection says, with the token proven if the request brings it; undefined if it brings a wrong
 * one, or none where one is wanted of strangers.
 */
function callerOf(
  token: unknown,
  caller: PeerCaller,
  { authority }: OldWireNode,
  sharedToken: string | undefined,
): PeerCaller | undefined {
  if (sharedToken === undefined) return caller;
  if (token !== undefined && token !== null)
    return isSameToken(sharedToken, token) ? { ...caller, provedToken: true } : undefined;
  const isStranger = authority.grantsOf(caller).every((grant) => covers(UNKNOWN_CALLER_GRANTS, grant));
  return isStranger ? undefined : caller;
}

/** An error as old peers read it: a word under `error`, and what newer ones can use beside it. */
function refusalOf(error: unknown, op: unknown, logger: Logger): JsonObject {
  const { code, failureClass, message, hint } = errorFacts(error);
  if (failureClass === "denied") return refused("unauthorized");
  if (failureClass === "internal") {
    logger.error({ op, err: error }, "an old request failed unexpectedly");
    return { ...refused("internal_error"), detail: message };
  }
  const word = code.replace(/^E_/, "").toLowerCase();
  return { ...refused(word), detail: message, error_code: code, ...(hint !== undefined && { hint }) };
}
