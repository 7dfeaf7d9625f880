/** What an operation of the old wire is, and what of a node it can reach. */
import type { Authority } from "../../../authority/authority.ts";
import type { PeerCaller } from "../../../authority/caller.ts";
import type { Grant } from "../../../authority/grant.ts";
import type { SharedCache } from "../../../cache/cache.ts";
import type { JsonObject } from "../../../content/json.ts";
import type { LocalTaskQueue } from "../../../task/local.ts";
import type { Presence } from "../../../workflow/presence.ts";

/** A node as old peers see it. */
export interface OldWireNode {
  readonly authority: Authority;
  readonly queue: LocalTaskQueue;
  readonly presence: Presence;
  /** Absent: answered with `cache_disabled`. */
  readonly cache?: SharedCache | undefined;
  status(detail: boolean): Promise<JsonObject>;
  /** Answers in the shape of the old wire: `ok`, `tool`, `result`. Absent: answered with `tools_disabled`. @throws ToolNotFoundError */
  readonly callTool?:
    | ((name: string, args: JsonObject, caller: PeerCaller, signal: AbortSignal) => Promise<JsonObject>)
    | undefined;
  /** The tools that {@link callTool} knows now. Default: none. */
  toolNames?(): readonly string[];
}

/** Who asks, and what can be done about it. */
export interface OperationContext {
  readonly node: OldWireNode;
  readonly caller: PeerCaller;
  readonly signal: AbortSignal;
}

/** One operation. */
export interface Operation {
  /** Its name and its aliases. */
  readonly names: readonly string[];
  /** What its caller must be allowed to do. */
  grant(request: JsonObject): Grant;
  /**
   * Carries it out.
   *
   * @returns the members of the answer; `ok` is true unless they say otherwise
   * @throws McpError, which becomes a refusal
   */
  run(request: JsonObject, context: OperationContext): Promise<JsonObject>;
}

/**
 * In whose name everything of the old wire claims and settles.
 *
 * Python peers make a new identity for each request, so the peer id that completes is never the one that claimed. One
 * common name means that old workers are not fenced against each other by who they are, but by the rules of
 * task/held.ts: the first lease only, or the worker's name where the completion gives it. Nobody with an identity of
 * its own can be completed for over the old wire, and no old worker can end what others hold.
 */
export const OLD_WIRE_HOLDER = "old-wire";

/** How long a claim over the old wire holds: its workers cannot renew, and later Python services use as much. */
export const OLD_WIRE_LEASE_MS = 300_000;

/** An answer that says no. */
export function refused(error: string): JsonObject {
  return { ok: false, error };
}
