/**
 * Keeps this node registered with one rendezvous node, until it is cancelled.
 *
 * A rendezvous node that ends forgets everybody, so a lost connection means registering again: soon, at a random moment
 * so that not all come at once, and less and less often while it is not reached.
 */
import type { PeerId } from "@libp2p/interface";
import { DeniedError, InvalidInputError, ProtocolError } from "../../errors.ts";
import { isCancelled, pauseAfter, rethrowIfCancelled, shield } from "../../nursery/index.ts";
import { isLoopbackAddr, type MechanismContext } from "../../p2p/index.ts";
import type { SelfDescription } from "../../peer/discovery.ts";
import { Alarm } from "../pause.ts";
import { DEFAULT_TTL_MS } from "./limits.ts";
import type { RendezvousPoint } from "./point.ts";
import { type RecordFacts, recordFacts, signRecord, unsignedRecord } from "./record.ts";

/** A registration is renewed when this part of its time is over: an eighth is left for a server that is away. */
const RENEW_AFTER = 7 / 8;
/** Pauses between attempts: the longest keeps the node findable within 15 s of the server's return. */
const RETRY = { baseMs: 500, maxMs: 8000 };
/** A connection that was lost sooner than this after registering counts as a failure, so that a flapping one costs little. */
const STEADY_MS = 30_000;
/** How long a goodbye may take when the node ends. */
const GOODBYE_MS = 1000;
/** Addresses change in groups, when an interface comes up: they are sent together. */
const SETTLE_MS = 200;

/** What keeping registered needs. */
export interface RegistrarOptions {
  readonly context: MechanismContext;
  readonly namespace: string;
  /** Whether a record without a signature may be sent to a server that does not take a signed one. */
  readonly unsigned: boolean;
  /** Called whenever the server may have begun anew. */
  readonly onLost: () => void;
}

/** Registers with `point` and stays so. @throws never, but for cancellation */
export async function keepRegistered(
  point: RendezvousPoint,
  self: SelfDescription,
  { context, namespace, unsigned, onLost }: RegistrarOptions,
): Promise<void> {
  const { libp2p, clock, logger } = context;
  const alarm = new Alarm(clock);
  const server = { id: "" };
  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    if (detail.toString() !== server.id) return;
    point.registeredUntilMs = undefined;
    onLost();
    alarm.wake();
  };
  const stopListening = self.onChange(alarm.wake);
  libp2p.addEventListener("peer:disconnect", onDisconnect);
  const place = { point, self, namespace, unsigned, context };
  let failures = 0;
  const attempt = async (): Promise<void> => {
    const { serverId, ttlMs } = await register(place);
    server.id = serverId;
    point.refusal = undefined;
    if (ttlMs !== undefined) point.registeredUntilMs = clock.now() + ttlMs;
    if (failures > 0) logger.info({ server: serverId }, "registered with a rendezvous node again");
    const since = clock.now();
    // Without an address there is nothing to register; when there is one, the wait ends.
    await alarm.wait((ttlMs ?? DEFAULT_TTL_MS) * RENEW_AFTER);
    failures = clock.now() - since < STEADY_MS ? failures + 1 : 0;
    await new Alarm(clock).wait(failures > 1 ? pauseAfter(failures, RETRY) : SETTLE_MS);
  };
  try {
    for (;;) {
      try {
        await attempt();
      } catch (error) {
        rethrowIfCancelled(error);
        failures += 1;
        point.refusal = error instanceof Error ? error : new Error(String(error));
        const level = failures === 1 ? "warn" : "debug";
        logger[level](
          { server: point.address.toString(), err: error },
          "not registered with a rendezvous node",
        );
        await alarm.wait(pauseAfter(failures, RETRY));
      }
    }
  } finally {
    stopListening();
    libp2p.removeEventListener("peer:disconnect", onDisconnect);
    await sayGoodbye(place, server.id);
  }
}

interface Place {
  readonly point: RendezvousPoint;
  readonly self: SelfDescription;
  readonly namespace: string;
  readonly unsigned: boolean;
  readonly context: MechanismContext;
}

/** @returns no time if there is no address that others could use */
async function register(
  place: Place,
): Promise<{ readonly serverId: string; readonly ttlMs: number | undefined }> {
  const { point, self, namespace, unsigned, context } = place;
  const connection = await point.connect();
  const serverId = connection.remotePeer.toString();
  const facts = recordFacts(self, context, isLoopbackAddr(connection.remoteAddr.toString()));
  if (facts.multiaddrs.length === 0) return { serverId, ttlMs: undefined };
  return { serverId, ttlMs: await registerEitherWay(point, namespace, facts, unsigned) };
}

async function registerEitherWay(
  point: RendezvousPoint,
  namespace: string,
  facts: RecordFacts,
  unsigned: boolean,
): Promise<number> {
  const ttlS = DEFAULT_TTL_MS / 1000;
  try {
    return await point.register({ namespace, record: await signRecord(facts), ttlS });
  } catch (error) {
    // py-libp2p reads a signed record as a peer id that is not ours (status 200), or not at all.
    const misread =
      error instanceof DeniedError || error instanceof InvalidInputError || error instanceof ProtocolError;
    if (!unsigned || !misread) throw error;
    return point.register({ namespace, record: unsignedRecord(facts), ttlS });
  }
}

async function sayGoodbye({ point, namespace, context }: Place, serverId: string): Promise<void> {
  // Without a connection the server has forgotten us, or will.
  const connected = context.libp2p.getPeers().some((peer) => peer.toString() === serverId);
  if (!connected) return;
  try {
    await shield(GOODBYE_MS, () => point.unregister(namespace, context.libp2p.peerId.toMultihash().bytes));
  } catch (error) {
    if (isCancelled(error)) return;
    context.logger.debug({ err: error }, "could not take a registration back");
  }
}
