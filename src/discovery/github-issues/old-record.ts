/** The record of the Python system (contract.md 5.1): anybody can write one about anybody, since it is not signed. */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { CLOCK_SKEW_MS, MAX_ADDRESS_CHARS, OLD_RECORD_TTL_MS } from "./limits.ts";
import type { RecordFacts, RegistryRecord } from "./registry-record.ts";

const ZONE = /(z|[+-]\d{2}:?\d{2})$/i;
const ZONELESS_SECONDS = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}/;

const oldSchema = z.object({
  peer_id: z.string().min(1).max(128),
  multiaddr: z.string().min(1).max(MAX_ADDRESS_CHARS),
  last_seen: z.string().max(64),
});

/**
 * Reads an unsigned record.
 *
 * The Python system let one date with a time zone hide every peer (D-43); here it is a date like any other.
 *
 * @returns undefined if a member is missing or the date is none or in the future
 */
export function readOld(content: JsonObject, nowMs: number): RegistryRecord | undefined {
  const parsed = oldSchema.safeParse(content);
  if (!parsed.success) return undefined;
  const { peer_id: peerId, multiaddr, last_seen: lastSeen } = parsed.data;
  const issuedAtMs = parseLastSeen(lastSeen);
  if (issuedAtMs === undefined || issuedAtMs > nowMs + CLOCK_SKEW_MS) return undefined;
  const expiresAtMs = issuedAtMs + OLD_RECORD_TTL_MS;
  return { peerId, multiaddrs: [multiaddr], issuedAtMs, expiresAtMs, signed: false };
}

/** The members by which nodes of the Python system read our records. */
export function oldFields({ peerId, multiaddrs, issuedAtMs }: RecordFacts): JsonObject {
  const [multiaddr = ""] = multiaddrs;
  return {
    // Without a zone: one comment with a zone blinds a Python node to all of them.
    last_seen: new Date(issuedAtMs).toISOString().replace(/Z$/, "000"),
    listen_port: Number(/\/(?:tcp|udp)\/(\d+)/.exec(multiaddr)?.[1] ?? 0),
    metadata: {},
    multiaddr,
    peer_id: peerId,
    public_ip: /^\/ip[46]\/([^/]+)/.exec(multiaddr)?.[1] ?? null,
    runner_name: peerId,
  };
}

/** Python's `isoformat()`: in UTC whether or not it says so, with microseconds or without. */
function parseLastSeen(text: string): number | undefined {
  if (!ZONELESS_SECONDS.test(text)) return undefined;
  const ms = Date.parse(ZONE.test(text) ? text : `${text}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
