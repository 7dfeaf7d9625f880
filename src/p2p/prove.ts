/** The calling side of the token proof: see peer/token.ts. */
import { BusyError, PeerIdentityError, RemoteError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { challengeSchema, isProofOf, newNonce, proofOf, proofSchema } from "../peer/token.ts";
import type { Link, RequestOptions } from "./link.ts";
import { isOtherDialect } from "./message.ts";

/** What proving needs. */
export interface ProveOptions {
  readonly sharedToken: string;
  readonly ownPeerId: string;
  readonly logger: Logger;
  readonly request: RequestOptions;
}

/**
 * Proves to the peer at the other end of `link` that we know the token, and has it prove the same.
 *
 * A peer that has no token, or another one, is not an error: it decides by itself what it lets us do.
 *
 * @throws RemoteError if the peer has none of our methods (see {@link isOtherDialect})
 * @throws PeerIdentityError if the peer took our proof and gave a wrong one: it wanted the proof, not us
 */
export async function proveToken(
  link: Link,
  { sharedToken, ownPeerId, logger, request }: ProveOptions,
): Promise<void> {
  const clientNonce = newNonce();
  const challenge = await unlessRefused(link.request("auth.challenge", { nonce: clientNonce }, request));
  if (challenge instanceof RemoteError) {
    link.session.proof = "unwanted";
    logger.debug({ peer: link.peerId, reason: challenge.message }, "the peer asks for no token");
    return;
  }
  const asked = challengeSchema.safeParse(challenge);
  if (!asked.success) throw wrongProof(link);
  const serverNonce = asked.data.nonce;
  const context = { clientPeerId: ownPeerId, serverPeerId: link.peerId, clientNonce, serverNonce };

  const proof = proofOf(sharedToken, "client", context);
  const answer = await unlessRefused(link.request("auth.prove", { proof }, request));
  if (answer instanceof RemoteError) {
    link.session.proof = "refused";
    logger.warn({ peer: link.peerId, reason: answer.message }, "the peer has another shared token");
    return;
  }
  const given = proofSchema.safeParse(answer);
  if (!given.success || !isProofOf(sharedToken, "server", context, given.data.proof)) throw wrongProof(link);
  link.session.markProven();
}

function wrongProof(link: Link): PeerIdentityError {
  const error = new PeerIdentityError(`peer ${link.peerId} could not prove that it knows the shared token`);
  link.session.connection.abort(error);
  return error;
}

async function unlessRefused(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (isOtherDialect(error)) throw error;
    // Too busy says nothing about tokens.
    if (error instanceof RemoteError && !error.retryable) return error;
    if (error instanceof RemoteError) throw new BusyError(error.message, { cause: error });
    throw error;
  }
}
