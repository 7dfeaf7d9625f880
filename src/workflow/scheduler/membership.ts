/**
 * Who is there and takes workflow tasks, as one node sees it.
 *
 * The view is made of what peers say to this node and of what trusted peers say about others. Every fact is an instant
 * of a peer (last heard, last asked for work), the later one wins, and it travels as an age, so that nodes with
 * different clocks, which hear of a peer in different orders, end with the same view.
 */
import * as z from "zod";
import type { Clock } from "../../clock.ts";
import type { Candidate } from "../assignment.ts";

/** How many peers a view holds; whoever was heard of longest ago goes. */
export const MAX_MEMBERS = 1024;
/** How many a message carries, those heard of last: about 25 KiB. */
export const MAX_GOSSIPED_MEMBERS = 256;
/**
 * A peer that has not asked for workflow tasks for so long owns none: it may be a worker of another kind, or a host that
 * is not at its desk. Asking once makes it an owner again.
 */
export const ASKING_MS = 60_000;
/** No weight counts for more, so that one peer cannot claim nearly everything for itself. */
export const MAX_WEIGHT = 256;
const MAX_ID_CHARS = 256;

/** One peer in a view that travels. */
export interface MemberFacts {
  readonly peerId: string;
  readonly weight: number;
  /** How long ago it was heard, in milliseconds. */
  readonly heardAgoMs: number;
  /** How long ago it asked for workflow tasks; absent if it did not. */
  readonly askedAgoMs?: number | undefined;
}

const agoMs = z.number().min(0);

/** A view on the wire. */
export const membersSchema: z.ZodType<readonly MemberFacts[]> = z
  .array(
    z.object({
      peerId: z.string().min(1).max(MAX_ID_CHARS),
      weight: z.number().positive().max(MAX_WEIGHT),
      heardAgoMs: agoMs,
      askedAgoMs: agoMs.optional(),
    }),
  )
  .max(MAX_GOSSIPED_MEMBERS);

/** What a view is made of. */
export interface MembershipOptions {
  readonly clock: Clock;
  readonly selfId: string;
  /** Share of the tasks of this node relative to others. Default 1. */
  readonly weight?: number | undefined;
  /** A peer that was not heard of for longer is gone. */
  readonly timeoutMs: number;
  /** Whether this node knows by itself that a peer does not answer. Default: it knows nothing. */
  readonly isGone?: ((peerId: string) => boolean) | undefined;
}

interface Member {
  readonly peerId: string;
  readonly weight: number;
  /** By the clock of this node. */
  readonly heardAtMs: number;
  readonly askedAtMs: number;
}

/** The view of one node. */
export class Membership {
  readonly selfId: string;
  readonly #options: MembershipOptions;
  readonly #members = new Map<string, Member>();

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.selfId = options.selfId;
    this.#put({ peerId: options.selfId, weight: options.weight ?? 1, heardAtMs: 0, askedAtMs: -Infinity });
  }

  /** A peer was heard just now. */
  heard(peerId: string): void {
    this.#learn({ peerId, weight: this.#members.get(peerId)?.weight ?? 1, heardAgoMs: 0 }, undefined);
  }

  /** A peer asks for workflow tasks now. */
  asked(peerId: string): void {
    const weight = this.#members.get(peerId)?.weight ?? 1;
    this.#learn({ peerId, weight, heardAgoMs: 0, askedAgoMs: 0 }, undefined);
  }

  /** Takes over what `from`, a trusted peer, says about itself and others; nobody else knows this node better. */
  merge(view: readonly MemberFacts[], from: string): void {
    this.heard(from);
    for (const facts of view) if (facts.peerId !== this.selfId) this.#learn(facts, from);
  }

  /** What this node says to others, itself first. */
  view(): readonly MemberFacts[] {
    const now = this.#options.clock.now();
    const others = this.#live()
      .filter(({ peerId }) => peerId !== this.selfId)
      .toSorted((a, b) => b.heardAtMs - a.heardAtMs);
    return [this.#self(), ...others].slice(0, MAX_GOSSIPED_MEMBERS).map((member) => ({
      peerId: member.peerId,
      weight: member.weight,
      heardAgoMs: Math.max(0, now - member.heardAtMs),
      ...(member.askedAtMs > -Infinity && { askedAgoMs: Math.max(0, now - member.askedAtMs) }),
    }));
  }

  /** The peers that are there, this node among them. */
  live(): readonly string[] {
    return this.#live().map(({ peerId }) => peerId);
  }

  isLive(peerId: string): boolean {
    const member = this.#members.get(peerId);
    return member !== undefined && this.#isLive(member);
  }

  /** All that were ever heard of and not forgotten, in that order, this node first: what `legacy` chooses among. */
  inOrder(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Who may own tasks: those that are there and ask for them. */
  candidates(): readonly Candidate[] {
    const sinceMs = this.#options.clock.now() - ASKING_MS;
    return this.#live()
      .filter(({ askedAtMs }) => askedAtMs >= sinceMs)
      .map(({ peerId, weight }) => ({ peerId, weight }));
  }

  #live(): readonly Member[] {
    return [...this.#members.values()].filter((member) => this.#isLive(member));
  }

  #isLive({ peerId, heardAtMs }: Member): boolean {
    if (peerId === this.selfId) return true;
    const { clock, timeoutMs, isGone } = this.#options;
    return clock.now() - heardAtMs <= timeoutMs && isGone?.(peerId) !== true;
  }

  #self(): Member {
    const { selfId: peerId, weight = 1, clock } = this.#options;
    const member = this.#members.get(peerId);
    return { peerId, weight, heardAtMs: clock.now(), askedAtMs: member?.askedAtMs ?? -Infinity };
  }

  /** @param from - who says it; only a peer itself says its own weight */
  #learn(facts: MemberFacts, from: string | undefined): void {
    const { clock, timeoutMs } = this.#options;
    const { peerId, weight, heardAgoMs, askedAgoMs } = facts;
    const known = this.#members.get(peerId);
    if (!known && heardAgoMs > timeoutMs) return;
    const heardAtMs = clock.now() - heardAgoMs;
    const askedAtMs = askedAgoMs === undefined ? -Infinity : clock.now() - askedAgoMs;
    const isNewer = from === peerId || known === undefined || heardAtMs > known.heardAtMs;
    this.#put({
      peerId,
      weight: isNewer ? weight : known.weight,
      heardAtMs: Math.max(heardAtMs, known?.heardAtMs ?? -Infinity),
      askedAtMs: Math.max(askedAtMs, known?.askedAtMs ?? -Infinity),
    });
  }

  #put(member: Member): void {
    // A map keeps the place of a key that it has: the order is that in which peers were first heard of.
    this.#members.set(member.peerId, member);
    if (this.#members.size <= MAX_MEMBERS) return;
    let oldest: Member | undefined;
    for (const one of this.#members.values())
      if (one.peerId !== this.selfId && (!oldest || one.heardAtMs < oldest.heardAtMs)) oldest = one;
    if (oldest) this.#members.delete(oldest.peerId);
  }
}
