/** What this node knows about one connection: who calls, whether the token was proven, how much is going on. */
import type { Connection } from "@libp2p/interface";
import type { Authority } from "../authority/authority.ts";
import type { PeerCaller } from "../authority/caller.ts";
import { covers, UNKNOWN_CALLER_GRANTS } from "../authority/grant.ts";
import type { Clock } from "../clock.ts";
import { DeniedError, InvalidInputError } from "../errors.ts";
import {
  challengeSchema,
  isProofOf,
  newNonce,
  type ProofContext,
  proofOf,
  proofSchema,
} from "../peer/token.ts";
import type { TokenProof } from "../peer/trace.ts";
import { isFromThisMachine } from "./address-scope.ts";
import type { Budgets, PeerBudget } from "./budget.ts";
import type { P2pLimits } from "./limits.ts";

/** What sessions are made of. */
export interface SessionOptions {
  readonly ownPeerId: string;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly limits: P2pLimits;
  readonly budgets: Budgets;
  readonly sharedToken: string | undefined;
  /** Whether connections from loopback count as coming from this machine. */
  readonly trustLoopback: boolean;
}

/** Who calls over `connection`, as long as nothing was proven on it. */
export function callerOf(connection: Connection, trustLoopback = true): PeerCaller {
  return {
    kind: "peer",
    peerId: connection.remotePeer.toString(),
    sameMachine: trustLoopback && isFromThisMachine(connection),
    provedToken: false,
  };
}

/** One connection. All its streams share the proof; what they may use is the peer's, over all its connections. */
export class Session {
  readonly connection: Connection;
  readonly peerId: string;
  readonly budget: PeerBudget;
  /** What came of our own proof of the token. */
  proof: TokenProof = "unasked";
  readonly #options: SessionOptions;
  #caller: PeerCaller;
  #stranger: boolean;
  #challenge: { readonly context: ProofContext; readonly untilMs: number } | undefined;

  constructor(connection: Connection, options: SessionOptions) {
    this.connection = connection;
    this.#options = options;
    this.#caller = callerOf(connection, options.trustLoopback);
    this.peerId = this.#caller.peerId;
    this.budget = options.budgets.of(this.peerId);
    this.#stranger = this.#isStranger();
    if (!this.#stranger) this.budget.markKnown();
  }

  /** Who calls, as of now. */
  get caller(): PeerCaller {
    return this.#caller;
  }

  /** Whether the caller may do no more than anybody, and so gets the small limits. */
  get isStranger(): boolean {
    return this.#stranger;
  }

  get maxFrameBytes(): number {
    const { limits } = this.#options;
    return this.#stranger ? limits.strangerFrameBytes : limits.maxFrameBytes;
  }

  get maxServing(): number {
    const { limits } = this.#options;
    return this.#stranger ? limits.strangerServing : limits.maxServing;
  }

  /** The peer has proven that it knows the token. */
  markProven(): void {
    this.proof = "proven";
    this.#caller = { ...this.#caller, provedToken: true };
    this.#stranger = this.#isStranger();
    if (!this.#stranger) this.budget.markKnown();
  }

  /**
   * Answers a challenge with another one.
   *
   * @throws InvalidInputError if the nonce is none
   */
  challenge(params: unknown): { readonly nonce: string } {
    const asked = challengeSchema.safeParse(params);
    if (!asked.success) throw new InvalidInputError("auth.challenge wants a nonce of 32 bytes in base64url");
    const nonce = newNonce();
    const { ownPeerId, clock, limits } = this.#options;
    this.#challenge = {
      context: {
        clientPeerId: this.peerId,
        serverPeerId: ownPeerId,
        clientNonce: asked.data.nonce,
        serverNonce: nonce,
      },
      untilMs: clock.now() + limits.challengeMs,
    };
    return { nonce };
  }

  /**
   * Checks the peer's proof and gives ours. A challenge is good for one proof, right or wrong.
   *
   * @throws DeniedError if the proof is wrong, too late, or one too many
   */
  prove(params: unknown): { readonly proof: string } {
    const { sharedToken, clock } = this.#options;
    const challenge = this.#challenge;
    this.#challenge = undefined;
    const given = proofSchema.safeParse(params);
    const { proofs } = this.budget;
    const inTime = proofs.take() && challenge !== undefined && clock.now() <= challenge.untilMs;
    if (sharedToken === undefined || !given.success || !inTime)
      throw new DeniedError(this.peerId, "shared token");
    if (!isProofOf(sharedToken, "client", challenge.context, given.data.proof)) {
      throw new DeniedError(this.peerId, "shared token");
    }
    proofs.refill();
    this.markProven();
    return { proof: proofOf(sharedToken, "server", challenge.context) };
  }

  /** Whether it has used up its attempts at proving. */
  get isExhausted(): boolean {
    return !this.budget.proofs.hasAny;
  }

  #isStranger(): boolean {
    const known = UNKNOWN_CALLER_GRANTS;
    return this.#options.authority.grantsOf(this.#caller).every((grant) => covers(known, grant));
  }
}

/** The sessions of all open connections. */
export class Sessions {
  readonly #options: SessionOptions;
  readonly #byConnection = new WeakMap<Connection, Session>();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  of(connection: Connection): Session {
    const known = this.#byConnection.get(connection);
    if (known) return known;
    const session = new Session(connection, this.#options);
    this.#byConnection.set(connection, session);
    return session;
  }
}
