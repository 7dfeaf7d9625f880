/**
 * Proof that two peers know the same secret, without sending it.
 *
 * Both sides give a fresh nonce; each then sends HMAC-SHA256, keyed by the token, over a text that names the
 * purpose, who proves (its role), both peer ids and both nonces. Roles keep a proof from being sent back to its
 * maker, peer ids (authenticated by the connection) keep it from being passed on, nonces from being used again.
 * The construction is that of ISO/IEC 9798-4, mutual three-pass authentication with a check function.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { ConfigError } from "../errors.ts";

/** Whoever sees one proof can guess tokens off-line; 32 random characters are beyond guessing. */
export const MIN_TOKEN_CHARS = 32;

/** Longer than a collision search can reach, as long as the key of the hash wants. */
const NONCE_BYTES = 32;

/** Ties a proof to this purpose and version, so that the token may not be misused elsewhere. */
const DOMAIN = "mcplusplus shared token proof v1";

/** Which end of the connection proves: the one that asked for it, or the one that answers. */
export type ProofRole = "client" | "server";

/** What both ends know and both proofs cover. */
export interface ProofContext {
  readonly clientPeerId: string;
  readonly serverPeerId: string;
  readonly clientNonce: string;
  readonly serverNonce: string;
}

/** Accepts a nonce or a proof: 32 bytes as unpadded base64url. */
const bytes32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/);

/** Accepts the parameters, and the result, of the challenge: a nonce. */
export const challengeSchema: z.ZodType<{ readonly nonce: string }> = z.object({ nonce: bytes32 });

/** Accepts the parameters, and the result, of the proving: a proof. */
export const proofSchema: z.ZodType<{ readonly proof: string }> = z.object({ proof: bytes32 });

/** A nonce that was never used before, as base64url. */
export function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString("base64url");
}

/**
 * Refuses a token that could be guessed.
 *
 * @param origin - where the token was configured, for the message
 * @throws {@link ConfigError} if it is shorter than {@link MIN_TOKEN_CHARS}
 */
export function checkToken(token: string, origin: string): void {
  if (token.length >= MIN_TOKEN_CHARS) return;
  throw new ConfigError("the shared token", origin, `must have at least ${MIN_TOKEN_CHARS} characters`, {
    hint: "make one with: openssl rand -base64 33",
  });
}

/** The proof that `role` knows `token`. */
export function proofOf(token: string, role: ProofRole, context: ProofContext): string {
  const { clientPeerId, serverPeerId, clientNonce, serverNonce } = context;
  // JSON, because joined fields of free length could be cut in another place.
  const text = JSON.stringify([DOMAIN, role, clientPeerId, serverPeerId, clientNonce, serverNonce]);
  return createHmac("sha256", token).update(text).digest("base64url");
}

/** Whether `proof` is the one that `role` would give; takes the same time whatever is wrong with it. */
export function isProofOf(token: string, role: ProofRole, context: ProofContext, proof: string): boolean {
  const expected = Buffer.from(proofOf(token, role, context));
  const given = Buffer.from(proof);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/**
 * Whether `given` is the token itself, which only old peers send, inside an encrypted stream. Takes the same time
 * wherever the two differ.
 */
export function isSameToken(token: string, given: unknown): boolean {
  return typeof given === "string" && timingSafeEqual(digestOf(token), digestOf(given));
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
