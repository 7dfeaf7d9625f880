/** What a record in the registry says, in whichever format. */
import { CLOCK_SKEW_MS } from "./limits.ts";

/** A record that was read, signed or not, valid now or not any more. */
export interface RegistryRecord {
  readonly peerId: string;
  readonly multiaddrs: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Whether the owner of the peer id has signed it. */
  readonly signed: boolean;
}

/** What a node signs. */
export interface RecordFacts {
  readonly namespace: string;
  readonly peerId: string;
  readonly multiaddrs: readonly string[];
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Whether a record still counts; an unsigned one to the millisecond, as in the Python system. */
export function isLive({ expiresAtMs, signed }: RegistryRecord, nowMs: number): boolean {
  return nowMs < expiresAtMs + (signed ? CLOCK_SKEW_MS : 0);
}
