/** A rendezvous node is itself in the namespace that it is configured for: it reads its own list, and stands in it. */
import type { MechanismContext } from "../../p2p/index.ts";
import type { PeerHint, SelfDescription } from "../../peer/discovery.ts";
import { Alarm } from "../pause.ts";
import { DEFAULT_TTL_MS } from "./limits.ts";
import { hintOf, openRecord, recordFacts, signRecord } from "./record.ts";
import type { Registrations } from "./registrations.ts";

/** The record is renewed at half of its time. */
const RENEW_MS = DEFAULT_TTL_MS / 2;

/** What the list of this node says about the peers of a namespace. */
export async function hintsIn(list: Registrations, namespace: string): Promise<readonly PeerHint[]> {
  const hints: PeerHint[] = [];
  for (let after = 0; ;) {
    const { registrations, last } = list.page(namespace, after, Infinity);
    if (registrations.length === 0) return hints;
    for (const { record } of registrations) {
      const hint = hintOf(await openRecord(record, true));
      if (hint) hints.push(hint);
    }
    after = last;
  }
}

/** Keeps this node in its own list, until it is cancelled. */
export async function keepInOwnList(
  list: Registrations,
  namespace: string,
  self: SelfDescription,
  context: MechanismContext,
): Promise<void> {
  const alarm = new Alarm(context.clock);
  const stopListening = self.onChange(alarm.wake);
  try {
    for (;;) {
      const facts = recordFacts(self, context, true);
      list.add({
        namespace,
        peerId: self.peerId,
        record: await signRecord(facts),
        signed: true,
        stranger: false,
        address: "",
        expiresAtMs: context.clock.now() + DEFAULT_TTL_MS,
      });
      await alarm.wait(RENEW_MS);
    }
  } finally {
    stopListening();
    list.remove(namespace, self.peerId);
  }
}
