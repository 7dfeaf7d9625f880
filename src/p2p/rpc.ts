/**
 * Calls methods of peers over one kept stream each.
 *
 * A stream that breaks is replaced at the next call. What was under way is made once more if it never left, or if
 * the method says that twice is the same as once; everything else fails, because it may have been carried out.
 */
import type { Connection } from "@libp2p/interface";
import { ConnectionLostError, ProtocolError, ShuttingDownError, UnreachableError } from "../errors.ts";
import {
  abandonOnCancel,
  cancelScope,
  isCancelled,
  type Nursery,
  NurseryClosedError,
  rethrowIfCancelled,
  TimeoutError,
} from "../nursery/index.ts";
import { nodeHeartbeat, nodeStatus } from "../peer/methods.ts";
import {
  DEFAULT_RPC_TIMEOUT_MS,
  type Method,
  type PeerTarget,
  type RpcClient,
  type LateOptions,
} from "../peer/rpc.ts";
import type { TokenProof } from "../peer/trace.ts";
import { parseMultiaddr, peerIdIn } from "./address.ts";
import type { Dialer } from "./dialer.ts";
import { Link, type LinkCounts, reasonOf, type RequestOptions } from "./link.ts";
import { isOtherDialect } from "./message.ts";
import { pathOf } from "./path.ts";
import { OldPeer } from "./old-peer/old-peer.ts";
import { Reach, type Reached, type ReachOptions } from "./reach.ts";

/** Targets whose peer is remembered; a node calls few, and forgetting one costs a dial. */
const MAX_FOUND = 1000;

/** What is asked of whoever is found, so that it makes nobody known. */
const IS_ASKED_OF_ANYBODY: ReadonlySet<string> = new Set([nodeHeartbeat.name, nodeStatus.name]);

/** Calls a method of the peer at the other end of one connection. */
export type AskOver = <I, O>(method: Method<I, O>, input: I, timeoutMs: number) => Promise<O>;

/** What calling needs. */
export interface P2pRpcOptions extends Omit<ReachOptions, "ownPeerId"> {
  readonly dialer: Dialer;
  readonly nursery: Nursery;
}

/** The {@link RpcClient} of a host. */
export class P2pRpc implements RpcClient {
  readonly #options: P2pRpcOptions;
  readonly #reach: Reach;
  readonly #reached = new Map<string, Reached>();
  /** Links that take no more calls, as long as some are under way on them. */
  readonly #leaving = new Set<Link>();
  readonly #found = new Map<string, string>();
  readonly #opening = new Map<string, Promise<Reached>>();
  /** Old peers that were called by somebody who named them. */
  readonly #named = new Set<string>();

  constructor(options: P2pRpcOptions) {
    this.#options = options;
    this.#reach = new Reach({ ...options, ownPeerId: options.dialer.ownPeerId });
  }

  get counts(): LinkCounts {
    return this.#reach.counts;
  }

  async call<I, O>(
    target: PeerTarget,
    method: Method<I, O>,
    input: I,
    options: LateOptions<O> = {},
  ): Promise<O> {
    return outputOf(method, await this.#request(target, method, input, options));
  }

  /** Passes on an answer that nobody waits for any more. */
  #late<I, O>(method: Method<I, O>, onLate: (answer: O) => Promise<void>, result: unknown): void {
    const { nursery, logger, limits } = this.#options;
    nursery
      .run(() => onLate(outputOf(method, result)), { timeoutMs: limits.maxCallMs })
      .catch((error: unknown) => {
        logger.warn({ err: error, method: method.name }, "a late answer could not be dealt with");
      });
  }

  /** The links to nodes of ours that are open. */
  get links(): readonly Link[] {
    const current = [...this.#reached.values()].filter((reached) => reached instanceof Link);
    return [...current, ...this.#leaving];
  }

  /** The peers that are called in an older protocol. */
  get oldPeers(): readonly OldPeer[] {
    return [...this.#reached.values()].filter((reached) => reached instanceof OldPeer);
  }

  /**
   * What calls to the target go over, opened and proven if need be.
   *
   * @throws UnreachableError, PeerIdentityError, InvalidInputError, NotSupportedByPeerError
   */
  link(target: PeerTarget): Promise<Reached> {
    const open = this.#openLink(target);
    return open ? Promise.resolve(open) : this.#open(target);
  }

  /** What calls go over `connection`, for a search that has just made it. */
  async linkOver(connection: Connection): Promise<Reached> {
    const peerId = connection.remotePeer.toString();
    const known = this.#reached.get(peerId);
    if (known?.isOpen === true) return known;
    const gone = (link: Link): void => {
      this.#leaving.delete(link);
      if (this.#reached.get(peerId) === link) this.#reached.delete(peerId);
    };
    const reached = await this.#reach.over(connection, gone);
    const other = this.#reached.get(peerId);
    if (other?.isOpen === true) {
      // Two targets meant the same peer.
      await closeReached(reached);
      return other;
    }
    if (other instanceof OldPeer) other.close();
    this.#reached.set(peerId, reached);
    return reached;
  }

  /**
   * There is a direct connection to a peer: new calls take it. Calls that are under way through a relay end there, so
   * that none is cut or made twice.
   */
  moveOffRelay(peerId: string): void {
    const reached = this.#reached.get(peerId);
    if (reached === undefined || pathOf(reached.session.connection) === "direct") return;
    this.#reached.delete(peerId);
    if (reached instanceof Link) {
      if (reached.isOpen) this.#leaving.add(reached);
      reached.closeWhenDone();
    } else reached.close();
  }

  /** This node's own id. */
  get ownPeerId(): string {
    return this.#options.dialer.ownPeerId;
  }

  /**
   * Lets `work` ask the peer at the other end of just this connection, over a stream of its own that is then closed.
   *
   * @param target - what was asked for
   */
  async over<T>(
    connection: Connection,
    target: PeerTarget,
    work: (ask: AskOver, proof: TokenProof) => Promise<T>,
  ): Promise<T> {
    const reached = await this.#reach.over(connection, () => undefined);
    const ask: AskOver = async (method, input, timeoutMs) => {
      const untilMs = this.#options.clock.now() + timeoutMs;
      const request = { timeoutMs, untilMs, signal: undefined, onLate: undefined };
      const asked =
        reached instanceof Link
          ? reached.request(method.name, input, request)
          : reached.request(method.name, input, { ...request, named: isNamed(target) });
      return outputOf(method, await abandonOnCancel(asked));
    };
    try {
      return await work(ask, this.#options.sessions.of(connection).proof);
    } finally {
      await closeReached(reached);
    }
  }

  /** Ends the streams that were not used for a while. */
  closeIdle(nowMs: number): void {
    for (const link of this.links) if (link.isIdleAt(nowMs)) link.closeSoon();
    for (const peer of this.oldPeers) {
      peer.closeIdle(nowMs);
      if (!peer.isOpen && this.#reached.get(peer.peerId) === peer) this.#reached.delete(peer.peerId);
    }
  }

  #openLink(target: PeerTarget): Reached | undefined {
    const peerId = target.peerId ?? this.#found.get(keyOf(target));
    const reached = peerId === undefined ? undefined : this.#reached.get(peerId);
    return reached?.isOpen === true ? reached : undefined;
  }

  async #request<I, O>(
    target: PeerTarget,
    method: Method<I, O>,
    input: I,
    options: LateOptions<O>,
  ): Promise<unknown> {
    const { signal, timeoutMs = DEFAULT_RPC_TIMEOUT_MS, onLate, onlyFound = false } = options;
    const untilMs = this.#options.clock.now() + timeoutMs;
    const request: RequestOptions = {
      timeoutMs,
      untilMs,
      signal,
      onLate: onLate && ((result) => this.#late(method, onLate, result)),
    };
    let aim = target;
    for (let attempt = 1; ; attempt++) {
      const link = this.#openLink(aim) ?? (await this.#openInTime(aim, request));
      if (!IS_ASKED_OF_ANYBODY.has(method.name)) link.session.budget.markUsed();
      try {
        if (link instanceof Link) return await link.request(method.name, input, request);
        const named = this.#isNamed(target, link.peerId, onlyFound);
        return await link.request(method.name, input, { ...request, named });
      } catch (error) {
        rethrowIfCancelled(error);
        if (attempt > 1 || !this.#mayRepeat(link, method, error)) throw error;
        // What must not be done twice is never sent to a second peer, whatever the target would allow.
        if (!method.idempotent) aim = { ...target, peerId: link.peerId };
      }
    }
  }

  #isNamed(target: PeerTarget, peerId: string, onlyFound: boolean): boolean {
    if (onlyFound) return this.#named.has(peerId);
    if (!isNamed(target)) return false;
    if (this.#named.size >= MAX_FOUND) this.#named.clear();
    this.#named.add(peerId);
    return true;
  }

  #mayRepeat<I, O>(reached: Reached, method: Method<I, O>, error: unknown): boolean {
    // From a link, unreachable means that the call never left.
    if (error instanceof UnreachableError) return true;
    if (!(reached instanceof Link)) {
      return error instanceof ConnectionLostError && reached.mayRepeat(method.name);
    }
    return isOtherDialect(error) || (error instanceof ConnectionLostError && method.idempotent);
  }

  /** Opening is shared by all that wait for it, so one that gives up does not end it for the others. */
  async #openInTime(target: PeerTarget, { timeoutMs, untilMs, signal }: RequestOptions): Promise<Reached> {
    const leftMs = Math.max(untilMs - this.#options.clock.now(), 0);
    return inTime(() => abandonOnCancel(this.#open(target)), target, { timeoutMs, leftMs, signal });
  }

  #open(target: PeerTarget): Promise<Reached> {
    const key = keyOf(target);
    const known = this.#opening.get(key);
    if (known) return known;
    const { nursery, dialer, limits } = this.#options;
    const record = dialer.newRecord();
    const opening = nursery
      .run(async () => this.linkOver(await dialer.connect(target, record)), { timeoutMs: limits.connectMs })
      .then(
        (link) => {
          this.#opening.delete(key);
          this.#remember(key, link.peerId);
          return link;
        },
        (error: unknown) => {
          this.#opening.delete(key);
          throw openError(error, target, limits.connectMs, record.words);
        },
      );
    this.#opening.set(key, opening);
    // Whoever asked gets the failure; when all have given up meanwhile, nobody does.
    opening.catch(() => undefined);
    return opening;
  }

  /** Whom a target turned out to mean, so that the next call need not look again. */
  #remember(key: string, peerId: string): void {
    if (this.#found.size >= MAX_FOUND) this.#found.clear();
    this.#found.set(key, peerId);
  }
}

/** @throws ProtocolError if the peer answered something else */
function outputOf<I, O>(method: Method<I, O>, result: unknown): O {
  const parsed = method.output.safeParse(result);
  if (parsed.success) return parsed.data;
  throw new ProtocolError(`the answer to ${method.name} has the wrong shape`, { cause: parsed.error });
}

async function closeReached(reached: Reached): Promise<void> {
  if (reached instanceof Link) await reached.close();
  else reached.close();
}

/** Whether the caller said which peer it means, so that the connection has proven it to be that one. */
function isNamed({ peerId, multiaddr }: PeerTarget): boolean {
  return (
    peerId !== undefined || (multiaddr !== undefined && peerIdIn(parseMultiaddr(multiaddr)) !== undefined)
  );
}

function keyOf({ peerId = "", multiaddr = "" }: PeerTarget): string {
  return `${peerId} ${multiaddr}`;
}

/** How long something may take, and what ends it before. */
export interface TimeLimits {
  /** For the message. */
  readonly timeoutMs: number;
  /** What is left of it. Default: all. */
  readonly leftMs?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Runs `fn`, in the scope of the caller, until its time is over.
 *
 * @throws UnreachableError when it is; the reason of the signal
 */
export async function inTime<T>(
  fn: () => Promise<T>,
  target: PeerTarget,
  { timeoutMs, leftMs, signal }: TimeLimits,
): Promise<T> {
  const outcome = await cancelScope(fn, { timeoutMs: leftMs ?? timeoutMs, signal });
  if (outcome.ok) return outcome.value;
  if (signal?.aborted === true) throw reasonOf(signal);
  throw tooLate(target, timeoutMs);
}

function tooLate(target: PeerTarget, timeoutMs: number, cause?: unknown, tried = ""): UnreachableError {
  const name = target.multiaddr ?? target.peerId ?? "any peer";
  const words = tried === "" ? "" : `: ${tried}`;
  return new UnreachableError(`cannot reach ${name} within ${timeoutMs} ms${words}`, { cause });
}

function openError(error: unknown, target: PeerTarget, timeoutMs: number, tried: string): unknown {
  if (isCancelled(error) || error instanceof NurseryClosedError) {
    return new ShuttingDownError("the node is closing", { cause: error });
  }
  return error instanceof TimeoutError ? tooLate(target, timeoutMs, error, tried) : error;
}
