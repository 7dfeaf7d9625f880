/** Why a dial failed, as a word that stays the same whatever libp2p calls it. */
import type { DialOutcome } from "../peer/trace.ts";

/** How far a dial came. */
export type DialStage = "connect" | "handshake";

const BY_CODE: Readonly<Record<string, DialOutcome>> = {
  ECONNREFUSED: "refused",
  EHOSTUNREACH: "no-route",
  ENETUNREACH: "no-route",
  EHOSTDOWN: "no-route",
  ENETDOWN: "no-route",
  EADDRNOTAVAIL: "no-route",
  ENOTFOUND: "dns-failed",
  EAI_AGAIN: "dns-failed",
  EAI_NODATA: "dns-failed",
  ETIMEDOUT: "timeout",
};

const BY_NAME: Readonly<Record<string, DialOutcome>> = {
  DialDeniedError: "denied",
  ConnectionDeniedError: "denied",
  ConnectionInterceptedError: "denied",
  InvalidPeerIdError: "own-identity",
  TransportUnavailableError: "unsupported",
  NoValidAddressesError: "unsupported",
};

/**
 * The cause of a failed dial.
 *
 * @param isPrivate - whether this node has a swarm key: then a handshake that fails before anybody has said who it is
 *   failed over the key
 */
export function causeOf(error: unknown, stage: DialStage, isPrivate: boolean): DialOutcome {
  if (isOtherPeer(error)) return "wrong-peer";
  const known = partsOf(error).flatMap((part) => {
    const code = "code" in part && typeof part.code === "string" ? BY_CODE[part.code] : undefined;
    return code ?? BY_NAME[part.name] ?? [];
  });
  const [cause] = known;
  if (cause !== undefined) return cause;
  const text = error instanceof Error ? error.message : "";
  if (/relay with status|failed to connect via relay|no reservation/i.test(text)) return "relay-refused";
  if (isPrivate) return "not-our-network";
  return stage === "connect" ? "failed" : "handshake-failed";
}

/** Whether another peer answered. libp2p 3.3 wraps the mismatch that Noise finds into an error without a type of its own. */
export function isOtherPeer(error: unknown): boolean {
  return partsOf(error).some(
    (part) => part.name === "UnexpectedPeerError" || part.message.includes("expected remote identity key"),
  );
}

/** The error, its causes, and the members of groups among them. */
function partsOf(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const inner = error instanceof AggregateError ? error.errors.flatMap(partsOf) : [];
  return [error, ...inner, ...partsOf(error.cause)];
}
