/**
 * Calls between nodes.
 *
 * A method is declared once, with its schemas and the grant it needs, and both ends use the declaration:
 * {@link RpcClient.call} on one side, a {@link ServedMethod} on the other. How the bytes travel is a driver's matter.
 */
import type * as z from "zod";
import type { Caller } from "../authority/caller.ts";
import type { Grant } from "../authority/grant.ts";

/** Declaration of something that a node does for another one. */
export interface Method<I, O> {
  /** As it stands on the wire after the prefix, e.g. `task.submit`. */
  readonly name: string;
  /** What the caller must hold; may depend on the input. */
  readonly grant: Grant | ((input: I) => Grant);
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** Whether doing it twice is the same as doing it once, so that it may be sent again after a broken connection. */
  readonly idempotent: boolean;
}

/** What a handler learns about the call it answers. */
export interface CallContext {
  readonly caller: Caller;
  /** Aborts when the caller gives up, the connection ends or the deadline passes. */
  readonly signal: AbortSignal;
}

/** A method with what answers it, types erased: what a dispatcher holds. */
export interface ServedMethod {
  readonly name: string;
  /** Parses the input. @throws InvalidInputError */
  parse(input: unknown): ParsedCall;
}

/** A call whose input was parsed. */
export interface ParsedCall {
  readonly grant: Grant;
  run(context: CallContext): Promise<unknown>;
  /**
   * Takes back what `run` did, because its answer did not reach the caller. At most once, after `run` has succeeded.
   * Absent means that there is nothing to take back.
   */
  undo?(): Promise<void>;
}

/** Where a call goes: a peer id, a multiaddr, or both; with neither, any peer that discovery finds. */
export interface PeerTarget {
  readonly peerId?: string | undefined;
  readonly multiaddr?: string | undefined;
}

/** Options of whatever waits or travels. */
export interface CallOptions {
  /** Ends the call early; what was already sent may still happen. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a call to a peer. */
export interface RpcOptions extends CallOptions {
  /** How long the answer may take. Default {@link DEFAULT_RPC_TIMEOUT_MS}. */
  readonly timeoutMs?: number | undefined;
  /**
   * Whether nobody named the peer: the node asks it of its own accord because some mechanism has found it. Such a peer
   * is not shown the shared token itself, whatever it speaks, unless a call that named it was. Default false.
   */
  readonly onlyFound?: boolean | undefined;
}

/** Options of a call whose answer matters even if its caller has given up. */
export interface LateOptions<O> extends RpcOptions {
  /** Is given an answer that came after its caller had given up. */
  readonly onLate?: ((answer: O) => Promise<void>) | undefined;
}

/** How long a peer may take to answer if the caller names nothing; the old system waits as long. */
export const DEFAULT_RPC_TIMEOUT_MS = 20_000;

/** Calls methods of peers. */
export interface RpcClient {
  /**
   * @returns what the peer answered, parsed
   * @throws UnreachableError, PeerTimeoutError, ConnectionLostError, PeerIdentityError, or a RemoteError with the peer's own code
   */
  call<I, O>(target: PeerTarget, method: Method<I, O>, input: I, options?: LateOptions<O>): Promise<O>;
}
