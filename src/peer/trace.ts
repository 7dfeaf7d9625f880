/** What a search for a peer did, as data: what `doctor` and `why` explain. */
import type { JsonObject } from "../content/json.ts";
import type { Finding } from "./finding.ts";
import type { PeerPath } from "./peer.ts";

/** Where an address leads, as far as it says. */
export type AddressClass = "loopback" | "lan" | "public" | "relay";

/**
 * How dialling an address ended. All but `connected` are causes of failure; these words are stable.
 *
 * - `refused`: the machine answers, but nobody listens there
 * - `timeout`: nothing answered the attempt to connect
 * - `silent`: the connection was accepted, and then nobody spoke
 * - `no-route`: this machine has no way there
 * - `dns-failed`: the name could not be resolved
 * - `wrong-peer`: another peer answered
 * - `own-identity`: what answered has this node's own key: it is this node, or a copy of it
 * - `not-our-network`: the other end has another swarm key, or none
 * - `handshake-failed`: what answered does not speak libp2p as we do, or ended the connection
 * - `not-believed`: an address of a local network, from a mechanism that anybody on the internet can write to
 * - `hearsay-limit`: too many addresses that nobody vouched for led nowhere lately; it was not dialled
 * - `denied`: this node's own rules forbid it
 * - `relay-refused`: the relay does not carry connections to that peer
 * - `unsupported`: no transport of this node can use the address
 * - `unproven`: a peer that nobody named did not prove the shared token
 * - `cancelled`: another address was faster, or the time was over
 * - `failed`: anything else, see `detail`
 */
export type DialOutcome =
  | "connected"
  | "refused"
  | "timeout"
  | "silent"
  | "no-route"
  | "dns-failed"
  | "wrong-peer"
  | "own-identity"
  | "not-our-network"
  | "handshake-failed"
  | "not-believed"
  | "hearsay-limit"
  | "denied"
  | "relay-refused"
  | "unsupported"
  | "unproven"
  | "cancelled"
  | "failed";

/** One address that was dialled. Times are milliseconds since the search began. */
export interface DialTrace {
  readonly address: string;
  readonly class: AddressClass;
  readonly startedMs: number;
  /** Absent while it is under way. */
  readonly endedMs?: number | undefined;
  readonly outcome?: DialOutcome | undefined;
  /** The words of what failed. */
  readonly detail?: string | undefined;
}

/** How asking a mechanism ended: `nothing` means that it answered and named nobody, `cancelled` that it was not awaited. */
export type MechanismOutcome = "connected" | "unreachable" | "nothing" | "failed" | "cancelled";

/** One mechanism that was asked. Times are milliseconds since the search began. */
export interface MechanismTrace {
  /** `known` for what the node remembers, `explicit` for an address that was given, else the discovery's name. */
  readonly mechanism: string;
  readonly startedMs: number;
  readonly endedMs?: number | undefined;
  readonly outcome?: MechanismOutcome | undefined;
  /** How many hints it gave. */
  readonly hints: number;
  readonly dials: readonly DialTrace[];
  readonly detail?: string | undefined;
}

/** A search. */
export interface SearchTrace {
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** How long it took, or has taken so far. */
  readonly elapsedMs: number;
  readonly mechanisms: readonly MechanismTrace[];
}

/**
 * How the shared token was settled with a peer: `proven` by both sides; `refused` because the peer has another one;
 * `unwanted` because the peer asks for none; `unasked` because this node has none, or it did not come to that.
 */
export type TokenProof = "proven" | "refused" | "unwanted" | "unasked";

/** What answered at one address. */
export interface PeerAnswer {
  readonly address: string;
  readonly peerId: string;
  readonly path: PeerPath;
  readonly proof: TokenProof;
  /** Absent if it did not answer. */
  readonly rttMs?: number | undefined;
  /** What it says about itself. */
  readonly status?: JsonObject | undefined;
  /** How far its clock is ahead of ours, if it told. */
  readonly skewMs?: number | undefined;
  /** The code with which it refuses to work with this node. Absent: it does not. */
  readonly refused?: string | undefined;
  /** Why it did not answer. */
  readonly failed?: { readonly code: string; readonly message: string } | undefined;
}

/** A connection that is open. */
export interface OpenConnection {
  readonly address: string;
  readonly class: AddressClass;
  readonly path: PeerPath;
  readonly direction: "inbound" | "outbound";
}

/** A peer from all sides. */
export interface Examination {
  readonly trace: SearchTrace;
  /** Connections that were there before. */
  readonly connections: readonly OpenConnection[];
  readonly answers: readonly PeerAnswer[];
}

/** A peer from all sides, and what that means. */
export interface PeerDiagnosis {
  readonly findings: readonly Finding[];
  readonly examination: Examination;
}
