/**
 * Who owns a task by the rule of the old system, the policy `legacy` (contract.md 4.4).
 *
 * The owner is the peer whose hash has the fewest bits different from the hash of clock and task. Among peers at the
 * same distance the first in order wins, so two nodes that heard of peers in different orders disagree on about one task
 * in ten; the policy `hash` (assignment.ts) has no such order.
 */
import { combinedHash, hammingDistance, peerHash } from "./hashes.ts";

/**
 * The owner of a task.
 *
 * @param peerIdsInOrder - in the order in which they were first heard; blanks around an id are dropped, empty ids and
 *   repeated ones left out
 * @param clockRoot - the root of the clock of the node that asks
 * @param hash - the hash of the task
 * @returns undefined if there is no peer
 */
export function legacyOwner(
  peerIdsInOrder: Iterable<string>,
  clockRoot: string,
  hash: string,
): string | undefined {
  const wanted = combinedHash(clockRoot, hash);
  let owner: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const peerId of legacyPeers(peerIdsInOrder)) {
    const distance = hammingDistance(peerHash(peerId), wanted);
    if (distance < least) [owner, least] = [peerId, distance];
  }
  return owner;
}

function legacyPeers(peerIds: Iterable<string>): ReadonlySet<string> {
  return new Set([...peerIds].map((peerId) => peerId.trim()).filter((peerId) => peerId !== ""));
}
