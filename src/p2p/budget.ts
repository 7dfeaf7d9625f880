/**
 * What a peer may use, over all its connections: fifty of them get one allowance.
 *
 * A peer that is gone is remembered until its allowances are full again, so that coming back gives it nothing.
 */
import type { Clock } from "../clock.ts";
import { Bucket } from "./bucket.ts";
import type { P2pLimits } from "./limits.ts";
import type { OffenceKind, Offences } from "./offences.ts";
import { Turns } from "./turns.ts";

/** A stream that holds bytes for its peer. */
export interface UnsentHolder {
  readonly wire: { readonly unsentBytes: number };
}

/** What the budgets of a host share. */
export interface BudgetOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
  readonly offences: Offences;
  /** Called when a peer has gone too far. */
  readonly onKeptOut: (peerId: string, reason: string) => void;
}

/** Offences of peers that may do more than ask for status: they are limited for them, but not kept out. */
const FORGIVEN: ReadonlySet<OffenceKind> = new Set<OffenceKind>(["too many streams", "too many messages"]);

/** The allowance of one peer. */
export class PeerBudget {
  readonly peerId: string;
  readonly #options: BudgetOptions;
  readonly #strikes: Bucket;
  #streamRate: Bucket | undefined;
  #muxedRate: Bucket | undefined;
  #messageRate: Bucket | undefined;
  #byteRate: Bucket | undefined;
  #proofs: Bucket | undefined;
  #strangerRate: Bucket | undefined;
  #known = false;
  #trusted = false;
  #keptOutUntilMs = -Infinity;
  /** Connections of it that are open, whoever dialled. */
  connections = 0;
  /** Streams of ours and theirs that are open. */
  openStreams = 0;
  /** Requests that are being answered. */
  serving = 0;
  /** Its streams that are being served. */
  readonly holders: Set<UnsentHolder> = new Set();
  /** When its requests begin. */
  readonly turns: Turns;
  /** When its last connection ended, on the clock. */
  goneAtMs: number;

  constructor(peerId: string, options: BudgetOptions) {
    const { clock, limits } = options;
    this.peerId = peerId;
    this.#options = options;
    this.#strikes = new Bucket(clock, limits.maxStrikes, limits.strikesPerMinute / 60);
    this.turns = new Turns({ limits, unsentBytes: () => this.#unsentBytes() });
    this.goneAtMs = clock.now();
  }

  /** Whether it may do more than ask for status, or we work with it. */
  get isKnown(): boolean {
    return this.#known;
  }

  /** It may do more than ask for status: from now on it has the allowance of a peer that is known. */
  markKnown(): void {
    this.#trusted = true;
    this.markUsed();
  }

  /**
   * This node works with it, by a call or as a relay: from now on its bytes and streams, which answers need, have the
   * allowance of a peer that is known. What it asks has not. To have been dialled or to be asked whether it is there is
   * not enough: for that it is enough to be found.
   */
  markUsed(): void {
    if (this.#known) return;
    this.#known = true;
    this.#muxedRate = undefined;
    this.#byteRate = undefined;
  }

  /** Whether it may open one more stream; if so, it is counted. */
  takeStream(): boolean {
    const { clock, limits } = this.#options;
    const most = this.#known ? limits.maxStreams : Math.min(limits.maxStreams, limits.strangerStreams);
    if (this.openStreams >= most) return false;
    this.#streamRate ??= new Bucket(clock, limits.streamBurst, limits.streamsPerSecond);
    if (!this.#streamRate.take()) return false;
    this.openStreams += 1;
    return true;
  }

  /** Whether one more stream of any kind, negotiated or not, is within its rate; it is counted if so. */
  takeMuxedStream(): boolean {
    const { clock, limits } = this.#options;
    this.#muxedRate ??= this.#known
      ? new Bucket(clock, limits.muxedStreamBurst, limits.muxedStreamsPerSecond)
      : new Bucket(clock, limits.strangerMuxedBurst, limits.strangerMuxedPerSecond);
    return this.#muxedRate.take();
  }

  /** Whether one more message of a stranger is answered; it is counted if so. */
  takeMessage(): boolean {
    const { clock, limits } = this.#options;
    this.#strangerRate ??= new Bucket(clock, limits.strangerBurst, limits.strangerPerSecond);
    return this.#strangerRate.take();
  }

  /** Counts a message. @returns for how many milliseconds nothing more should be read */
  spendMessage(): number {
    const { clock, limits } = this.#options;
    this.#messageRate ??= new Bucket(clock, limits.messageBurst, limits.messagesPerSecond);
    return this.#messageRate.spend(1);
  }

  /** Counts bytes. @returns for how many milliseconds nothing more should be read */
  spendBytes(bytes: number): number {
    const { clock, limits } = this.#options;
    this.#byteRate ??= this.#known
      ? new Bucket(clock, limits.peerBytesBurst, limits.peerBytesPerSecond)
      : new Bucket(clock, limits.strangerBytesBurst, limits.strangerBytesPerSecond);
    return this.#byteRate.spend(bytes);
  }

  /** Whether so much waits to be sent to it that it must be taken for dead. */
  get holdsTooMuch(): boolean {
    const { limits } = this.#options;
    return this.#unsentBytes() > (this.#known ? limits.maxPeerUnsentBytes : limits.strangerUnsentBytes);
  }

  #unsentBytes(): number {
    let bytes = 0;
    for (const { wire } of this.holders) bytes += wire.unsentBytes;
    return bytes;
  }

  /** Proofs of the shared token that it may still get wrong; they come back one a minute. */
  get proofs(): Bucket {
    const { clock, limits } = this.#options;
    this.#proofs ??= new Bucket(clock, limits.maxProofs, 1 / 60);
    return this.#proofs;
  }

  /** Until when it is not let in, on the clock; undefined if it is. */
  get isKeptOut(): boolean {
    return this.#options.clock.now() < this.#keptOutUntilMs;
  }

  /** Notes what it did. A peer that goes on like that is kept out for a while. */
  offend(kind: OffenceKind, reason: string, strikes = 1): void {
    const { offences, onKeptOut, clock, limits } = this.#options;
    offences.note({ who: this.peerId, kind, reason });
    if (this.#trusted && FORGIVEN.has(kind)) return;
    if (this.#strikes.spend(strikes) === 0 || this.isKeptOut) return;
    this.#keptOutUntilMs = clock.now() + limits.keepOutMs;
    onKeptOut(this.peerId, kind);
  }
}

/** The budgets of all peers that are connected, or were lately. */
export class Budgets {
  readonly #options: BudgetOptions;
  /** The longest gone first, among those without a connection. */
  readonly #budgets = new Map<string, PeerBudget>();
  #connected = 0;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** How many are kept. */
  get size(): number {
    return this.#budgets.size;
  }

  /** The budget of a peer. */
  of(peerId: string): PeerBudget {
    const known = this.#budgets.get(peerId);
    if (known) return known;
    const made = new PeerBudget(peerId, this.#options);
    this.#budgets.set(peerId, made);
    if (this.#budgets.size - this.#connected > this.#options.limits.maxRememberedPeers) this.#forgetOldest();
    return made;
  }

  /** The budget of a peer that is known already. */
  peek(peerId: string): PeerBudget | undefined {
    return this.#budgets.get(peerId);
  }

  /** A connection of the peer has been opened. */
  opened(peerId: string): PeerBudget {
    const budget = this.of(peerId);
    if (budget.connections === 0) this.#connected += 1;
    budget.connections += 1;
    return budget;
  }

  /** A connection of the peer has ended. */
  closed(budget: PeerBudget): void {
    budget.connections -= 1;
    if (budget.connections > 0) return;
    this.#connected -= 1;
    budget.goneAtMs = this.#options.clock.now();
    // To the end of the order.
    this.#budgets.delete(budget.peerId);
    this.#budgets.set(budget.peerId, budget);
  }

  /** Forgets those that have been gone for long. */
  forgetGone(nowMs: number): void {
    const { rememberMs } = this.#options.limits;
    for (const [peerId, budget] of this.#budgets) {
      const isGone = budget.connections === 0 && nowMs - budget.goneAtMs >= rememberMs;
      if (isGone && !budget.isKeptOut) this.#budgets.delete(peerId);
    }
  }

  #forgetOldest(): void {
    for (const [peerId, { connections }] of this.#budgets) {
      if (connections > 0) continue;
      this.#budgets.delete(peerId);
      return;
    }
  }
}
