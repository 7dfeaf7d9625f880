/**
 * What of a clock that somebody sent may be merged.
 *
 * Each node counts its own events, so a clock that came from a node is believed about that node alone: whoever signed it
 * (an authenticated connection stands for the signature) advances its own entry and no other. Entries and counters are
 * bounded by {@link parseClock}; a root that does not fit the entries means that one of them was changed on the way.
 */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { merkleClockRoot, parseClock } from "./clock.ts";

/** Counters grow by one an event; more than this is no count. */
const MAX_COUNT = 2n ** 63n;

/** What a clock says about its signer, or why it says nothing. */
export type Admission =
  | { readonly ok: true; readonly count: bigint }
  | { readonly ok: false; readonly why: string };

/**
 * Looks at a clock before it is merged.
 *
 * @param json - as it stands on the wire
 * @param signer - the authenticated id of whoever sent it
 */
export function admitClock(json: unknown, signer: string): Admission {
  const clock = parseClock(json);
  if (!clock || !isJsonObject(json))
    return refusal("it is no clock, or has too many entries or too long ones");
  if (clock.nodeId !== signer)
    return refusal(`it is of ${clock.nodeId || "nobody"}, not of ${signer}, who sent it`);
  if (json["merkle_root"] !== undefined && !rootFits(json["merkle_root"], clock.entries(), signer, json))
    return refusal("its root does not fit its entries");
  const count = clock.count(signer);
  if (count < 0n || count > MAX_COUNT) return refusal("its counter is out of bounds");
  return { ok: true, count };
}

/** A clock with nothing but what `signer` says of itself; undefined if it is not to be believed. */
export function ownEntryOf(json: JsonObject, signer: string): JsonObject | undefined {
  const admitted = admitClock(json, signer);
  return admitted.ok ? { node_id: signer, vector: { [signer]: Number(admitted.count) } } : undefined;
}

/** The original writes a root that was computed before the own id was added with 0; both are of these entries. */
function rootFits(
  root: unknown,
  entries: readonly (readonly [string, bigint])[],
  signer: string,
  { vector }: { readonly vector?: unknown },
): boolean {
  if (root === merkleClockRoot(entries)) return true;
  const given = isJsonObject(vector) && Object.hasOwn(vector, signer);
  return !given && root === merkleClockRoot(entries.filter(([id]) => id !== signer));
}

function refusal(why: string): Admission {
  return { ok: false, why };
}
