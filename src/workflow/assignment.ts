/**
 * Who should do a task: the policy `hash`, the default.
 *
 * Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): each peer
 * gets a number from its id and the task alone, and the best number wins. Every node with the same view of the
 * membership names the same owner, whatever order it heard of the peers in; a peer that leaves moves only its own tasks.
 */
import { createHash } from "node:crypto";

/** A peer that may own tasks. */
export interface Candidate {
  readonly peerId: string;
  /** Share of the tasks relative to the others, e.g. its worker slots. Default 1; one that is not above 0 owns nothing. */
  readonly weight?: number | undefined;
}

/** A candidate and its number. */
export interface RankedCandidate {
  readonly peerId: string;
  /** Greater is better; comparable among the candidates of one task only. */
  readonly score: number;
}

/** 2^52: as many bits of a hash as a double holds with room for the half that keeps it from 0 and 1. */
const FRACTION_STEPS = 2 ** 52;

/**
 * All candidates, the owner first, then who is next when the ones before are gone.
 *
 * @param task - the hash of the task; any text will do
 */
export function rankOwners(task: string, candidates: Iterable<Candidate>): readonly RankedCandidate[] {
  const ranked: (RankedCandidate & { readonly hash: string })[] = [];
  const seen = new Set<string>();
  for (const { peerId, weight = 1 } of candidates) {
    if (seen.has(peerId) || !(weight > 0)) continue;
    seen.add(peerId);
    const hash = createHash("sha256").update(`${peerId}\n${task}`).digest("hex");
    const fraction = (Number.parseInt(hash.slice(0, 13), 16) + 0.5) / FRACTION_STEPS;
    ranked.push({ peerId, score: -weight / Math.log(fraction), hash });
  }
  const sorted = ranked.toSorted((a, b) => b.score - a.score || (a.hash < b.hash ? -1 : 1));
  return sorted.map(({ peerId, score }) => ({ peerId, score }));
}

/** The owner of a task; undefined if there is no candidate. */
export function ownerOf(task: string, candidates: Iterable<Candidate>): string | undefined {
  return rankOwners(task, candidates)[0]?.peerId;
}
