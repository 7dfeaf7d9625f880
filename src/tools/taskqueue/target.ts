/** Arguments that many tools share: whose queue is meant, and how long the call may take. */
import * as z from "zod";
import { InvalidInputError } from "../../errors.ts";
import { DEFAULT_RPC_TIMEOUT_MS, type PeerTarget } from "../../peer/rpc.ts";

/** Which node is meant, as the arguments say it. Empty strings name nobody. */
export interface TargetHints {
  readonly remote_multiaddr: string;
  readonly remote_peer_id: string;
  readonly peer_id?: string | undefined;
}

/** A call that takes longer than a day is not a call. */
export const MAX_TIMEOUT_S = 86_400;

/** A text argument that may be left out. */
export type TextField = z.ZodDefault<z.ZodString>;

const text = (description: string): TextField => z.string().trim().default("").describe(description);

/** Target arguments of the tools in which `peer_id` means something else. */
export const remoteFields: { readonly remote_multiaddr: TextField; readonly remote_peer_id: TextField } = {
  remote_multiaddr: text("Node to ask, as …/p2p/<peer id>; empty: this one"),
  remote_peer_id: text("Node to ask; empty: this one"),
};

/** Target arguments of all other tools: both spellings of the peer hint. */
export const targetFields: typeof remoteFields & { readonly peer_id: TextField } = {
  ...remoteFields,
  peer_id: text("Same as remote_peer_id"),
};

/**
 * The `timeout_s` argument, in seconds.
 *
 * @param defaultS - how long the call may take if the caller names nothing
 */
export function timeoutField(defaultS: number = DEFAULT_RPC_TIMEOUT_MS / 1000): z.ZodDefault<z.ZodNumber> {
  return z.number().min(0).max(MAX_TIMEOUT_S).default(defaultS).describe("Limit of this call, in seconds");
}

/** Whether the arguments mean another node, or might. */
export function namesSomebody({ remote_multiaddr, remote_peer_id, peer_id = "" }: TargetHints): boolean {
  return remote_multiaddr !== "" || remote_peer_id !== "" || peer_id !== "";
}

/**
 * Who is meant by the arguments; nobody if all are empty, which stands for this node.
 *
 * @throws {@link InvalidInputError} if both spellings of the peer id are given and differ
 */
export function targetOf(hints: TargetHints): PeerTarget {
  const { remote_multiaddr: multiaddr, remote_peer_id: remotePeerId, peer_id: peerId = "" } = hints;
  if (remotePeerId !== "" && peerId !== "" && remotePeerId !== peerId) {
    throw new InvalidInputError("peer_id and remote_peer_id name different peers");
  }
  return { peerId: remotePeerId || peerId || undefined, multiaddr: multiaddr || undefined };
}

/** Below this a call has no chance to cross a network, so no deadline is shorter. */
const MIN_DEADLINE_MS = 1000;

/** The deadline of a call with the argument `timeout_s`, in milliseconds. */
export function deadlineOf({ timeout_s: timeoutS }: { readonly timeout_s: number }): number {
  return Math.max(timeoutS * 1000, MIN_DEADLINE_MS);
}

/** What a wait leaves of the caller's time for the answer to travel. */
const MAX_TRAVEL_MS = 500;

/** How long to wait at a queue so that its answer is here before `timeoutMs` are over. */
export function waitWithin(timeoutMs: number): number {
  return timeoutMs - Math.min(MAX_TRAVEL_MS, timeoutMs / 10);
}
