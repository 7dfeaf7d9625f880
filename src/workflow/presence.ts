/**
 * Which identities this node has heard of, and its vector clock: what heartbeat and detailed status report.
 *
 * An identity is what a peer says of itself; it grants nothing and decides nothing here. The shape of the answers
 * is that of the old wire (contract.md 2.6 and 2.11).
 */
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { parseClock, VectorClock } from "./clock.ts";

/** What was heard from an identity. */
export interface IdentityFacts {
  /** By its own account. */
  readonly peerId: string;
  /** The authenticated id of the connection it came over, if it came over one. */
  readonly transportPeerId?: string | undefined;
  /** What it called itself, where {@link peerId} may come from the connection. */
  readonly peerHint?: string | undefined;
  readonly workerId?: string | undefined;
  readonly taskTypes?: readonly string[] | undefined;
  /** Its vector clock as it sent it; one that does not hold together is ignored. */
  readonly clock?: JsonObject | undefined;
}

/** The identities of one node. */
export interface Presence {
  /** Records an identity as seen now, and merges its clock. */
  heard(facts: IdentityFacts): void;
  /** The answer to a heartbeat. */
  summary(): JsonObject;
  /** The scheduler part of a detailed status: identities seen within {@link PEER_TIMEOUT_MS}. */
  scheduler(): JsonObject;
}

/** How long an identity counts as alive after it was heard, as in the old system. */
export const PEER_TIMEOUT_MS = 300_000;
/** How many identities are kept: they are free text of callers, so they are bounded; the longest unheard goes. */
export const MAX_IDENTITIES = 1000;

interface Row extends IdentityFacts {
  readonly lastSeenMs: number;
}

/** An empty table, with a clock that starts at zero. */
export function createPresence(clock: Clock): Presence {
  const rows = new Map<string, Row>();
  const own = new VectorClock("taskqueue-service");
  return {
    heard(facts) {
      // Rows keep the order in which identities were first heard, which old peers rely on.
      const row = { ...rows.get(facts.peerId), ...definedOf(facts), peerId: facts.peerId };
      rows.set(facts.peerId, { ...row, lastSeenMs: clock.epochMs() });
      if (rows.size > MAX_IDENTITIES) rows.delete(longestUnheard(rows));
      const theirs = facts.clock === undefined ? undefined : parseClock(facts.clock);
      if (theirs !== undefined) own.merge(theirs);
    },
    summary: () => ({
      clock: own.toJSON(),
      known_peers: [...rows.values()].map((row) => ({
        peer_id: row.peerId,
        last_seen: row.lastSeenMs / 1000,
      })),
    }),
    scheduler() {
      const alive = [...rows.values()].filter((row) => clock.epochMs() - row.lastSeenMs <= PEER_TIMEOUT_MS);
      const workers = alive.filter((row) => row.workerId !== undefined);
      const docker = workers.filter(
        (row) => row.taskTypes?.some((type) => type.startsWith("docker.")) ?? false,
      );
      return {
        clock: own.toJSON(),
        known_peers: alive.map(oldRow),
        known_workers: workers.map(oldRow),
        counts: {
          peers: alive.length,
          workers: workers.length,
          docker_workers: new Set(docker.map((row) => row.workerId)).size,
        },
      };
    },
  };
}

/** Without the members that say nothing, so that they do not erase what is known. */
function definedOf(facts: IdentityFacts): Partial<IdentityFacts> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

function longestUnheard(rows: ReadonlyMap<string, Row>): string {
  let [peerId, leastMs] = ["", Number.POSITIVE_INFINITY];
  for (const row of rows.values())
    if (row.lastSeenMs < leastMs) [peerId, leastMs] = [row.peerId, row.lastSeenMs];
  return peerId;
}

function oldRow(row: Row): JsonObject {
  return {
    peer_id: row.peerId,
    last_seen: row.lastSeenMs / 1000,
    worker_id: row.workerId ?? "",
    supported_task_types: row.taskTypes ?? [],
    transport_peer_id: row.transportPeerId ?? "",
    peer_hint: row.peerHint ?? "",
  };
}
