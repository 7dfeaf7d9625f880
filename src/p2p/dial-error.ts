/** What a failed dial means, in words. */
import { McpError, PeerIdentityError, UnreachableError } from "../errors.ts";
import { isOtherPeer } from "./dial-cause.ts";

/** What was known when the dial began. */
export interface DialFacts {
  readonly wanted: string | undefined;
  readonly hasSwarmKey: boolean;
}

/** What libp2p throws when the access lists refuse a dial. */
const REFUSED_HERE: ReadonlySet<string> = new Set(["DialDeniedError", "ConnectionInterceptedError"]);

/** The error for a dial that failed: PeerIdentityError if somebody else is there, else UnreachableError. */
export function dialError(error: unknown, place: string, facts: DialFacts): McpError {
  if (error instanceof McpError) return error;
  if (isOtherPeer(error)) {
    return new PeerIdentityError(`at ${place} is another peer than ${facts.wanted ?? "expected"}`, {
      cause: error,
    });
  }
  return new UnreachableError(`${place}: ${reasonOf(error, facts)}`, { cause: error });
}

/** The reason in words, with what to do where this node itself is the reason. */
export function reasonOf(error: unknown, { hasSwarmKey }: DialFacts): string {
  const said = error instanceof Error ? error.message : String(error);
  if (someOf(error, ({ name }) => REFUSED_HERE.has(name)))
    return "this node's own access lists refuse it (--deny-peer, --deny-address, --only-peer, --only-address, --access-file)";
  if (hasSwarmKey && someOf(error, brokeBeforeNoise))
    return `the peer lacks this node's swarm key, or has another one (${said})`;
  if (hasSwarmKey && someOf(error, isTimeout))
    return `no answer in time; it may be down, or lack this node's swarm key (${said})`;
  if (someOf(error, isNoise))
    return `it does not answer as libp2p does; it may be in a private swarm whose key this node lacks (${said})`;
  return said;
}

/** Without the same key both ends hear noise, and one of them gives up: by an error, by hanging up, or by waiting. */
function brokeBeforeNoise(error: Error): boolean {
  return isNoise(error) || /ECONNRESET|EOF|end of stream/i.test(error.message);
}

function isTimeout({ name, message }: Error): boolean {
  return name === "TimeoutError" || /timeout|timed out/i.test(message);
}

/** Multistream-select reads a length first; what is not from it has almost never one that makes sense. */
function isNoise({ name, message }: Error): boolean {
  return name === "EncryptionFailedError" && !/expected remote identity key/.test(message);
}

function someOf(error: unknown, test: (error: Error) => boolean): boolean {
  if (error instanceof AggregateError && error.errors.some((inner) => someOf(inner, test))) return true;
  return error instanceof Error && test(error);
}
