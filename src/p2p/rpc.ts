/**
 * Calls methods of peers over one kept stream each.
 *
 * A stream that breaks is replaced at the next call. What was under way is made once more if it never left, or if
 * the method says that twice is the same as once; everything else fails, because it may have been carried out.
 */
import type { Connection } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import { ConnectionLostError, ProtocolError, ShuttingDownError, UnreachableError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import {
  abandonOnCancel,
  abortable,
  cancelScope,
  isCancelled,
  type Nursery,
  NurseryClosedError,
  rethrowIfCancelled,
  TimeoutError,
} from "../nursery/index.ts";
import {
  DEFAULT_RPC_TIMEOUT_MS,
  type Method,
  type PeerTarget,
  type RpcClient,
  type LateOptions,
} from "../peer/rpc.ts";
import type { Dialer } from "./dialer.ts";
import type { P2pLimits } from "./limits.ts";
import { Link, type LinkCounts, reasonOf, type RequestOptions } from "./link.ts";
import { MCP_P2P_PROTOCOL } from "./message.ts";
import { proveToken } from "./prove.ts";
import type { Sessions } from "./session.ts";

/** Targets whose peer is remembered; a node calls few, and forgetting one costs a dial. */
const MAX_FOUND = 1000;

/** What calling needs. */
export interface P2pRpcOptions {
  readonly dialer: Dialer;
  readonly sessions: Sessions;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: P2pLimits;
  readonly sharedToken: string | undefined;
}

/** The {@link RpcClient} of a host. */
export class P2pRpc implements RpcClient {
  readonly counts: LinkCounts = { strayAnswers: 0 };
  readonly #options: P2pRpcOptions;
  readonly #links = new Map<string, Link>();
  readonly #found = new Map<string, string>();
  readonly #opening = new Map<string, Promise<Link>>();

  constructor(options: P2pRpcOptions) {
    this.#options = options;
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

  /** The links that are open. */
  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  /**
   * The link to the target, opened and proven if need be.
   *
   * @throws UnreachableError, PeerIdentityError, InvalidInputError
   */
  link(target: PeerTarget): Promise<Link> {
    const open = this.#openLink(target);
    return open ? Promise.resolve(open) : this.#open(target);
  }

  /** A link over `connection`, for a search that has just made it. */
  async linkOver(connection: Connection): Promise<Link> {
    const known = this.#links.get(connection.remotePeer.toString());
    if (known?.isOpen === true) return known;
    const { limits, clock, sessions } = this.#options;
    const stream = await openStream(connection);
    const gone = (link: Link): void => {
      if (this.#links.get(link.peerId) === link) this.#links.delete(link.peerId);
    };
    const link = new Link(stream, sessions.of(connection), { limits, clock, counts: this.counts }, gone);
    try {
      await this.#prove(link);
    } catch (error) {
      link.wire.abort(new ConnectionLostError("the stream was not used", { cause: error }));
      throw error;
    }
    const other = this.#links.get(link.peerId);
    if (other?.isOpen === true) {
      // Two targets meant the same peer.
      await link.close();
      return other;
    }
    this.#links.set(link.peerId, link);
    return link;
  }

  /** Ends the links that were not used for a while. */
  closeIdle(nowMs: number): void {
    for (const link of this.links) if (link.isIdleAt(nowMs)) link.closeSoon();
  }

  #openLink(target: PeerTarget): Link | undefined {
    const peerId = target.peerId ?? this.#found.get(keyOf(target));
    const link = peerId === undefined ? undefined : this.#links.get(peerId);
    return link?.isOpen === true ? link : undefined;
  }

  async #request<I, O>(
    target: PeerTarget,
    method: Method<I, O>,
    input: I,
    options: LateOptions<O>,
  ): Promise<unknown> {
    const { signal, timeoutMs = DEFAULT_RPC_TIMEOUT_MS, onLate } = options;
    const untilMs = this.#options.clock.now() + timeoutMs;
    const request: RequestOptions = {
      timeoutMs,
      untilMs,
      signal,
      onLate: onLate && ((result) => this.#late(method, onLate, result)),
    };
    for (let attempt = 1; ; attempt++) {
      const link = this.#openLink(target) ?? (await this.#openInTime(target, request));
      try {
        return await link.request(method.name, input, request);
      } catch (error) {
        rethrowIfCancelled(error);
        // From a link, unreachable means that the call never left.
        const repeatable =
          error instanceof UnreachableError || (error instanceof ConnectionLostError && method.idempotent);
        if (!repeatable || attempt > 1) throw error;
      }
    }
  }

  /** Opening is shared by all that wait for it, so one that gives up does not end it for the others. */
  async #openInTime(target: PeerTarget, { timeoutMs, untilMs, signal }: RequestOptions): Promise<Link> {
    const leftMs = Math.max(untilMs - this.#options.clock.now(), 0);
    return inTime(() => abandonOnCancel(this.#open(target)), target, { timeoutMs, leftMs, signal });
  }

  #open(target: PeerTarget): Promise<Link> {
    const key = keyOf(target);
    const known = this.#opening.get(key);
    if (known) return known;
    const { nursery, dialer, limits } = this.#options;
    const opening = nursery
      .run(async () => this.linkOver(await dialer.connect(target)), { timeoutMs: limits.connectMs })
      .then(
        (link) => {
          this.#opening.delete(key);
          this.#remember(key, link.peerId);
          return link;
        },
        (error: unknown) => {
          this.#opening.delete(key);
          throw openError(error, target, limits.connectMs);
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

  async #prove(link: Link): Promise<void> {
    const { sharedToken, dialer, logger, limits, clock } = this.#options;
    if (sharedToken === undefined || link.session.caller.provedToken) return;
    const timeoutMs = limits.connectMs;
    const request = { timeoutMs, untilMs: clock.now() + timeoutMs, signal: undefined };
    await proveToken(link, { sharedToken, ownPeerId: dialer.ownPeerId, logger, request });
  }
}

/** @throws ProtocolError if the peer answered something else */
function outputOf<I, O>(method: Method<I, O>, result: unknown): O {
  const parsed = method.output.safeParse(result);
  if (parsed.success) return parsed.data;
  throw new ProtocolError(`the answer to ${method.name} has the wrong shape`, { cause: parsed.error });
}

/** Opens a stream of the protocol. @throws UnreachableError if the peer does not speak it */
export async function openStream(connection: Connection): ReturnType<Connection["newStream"]> {
  try {
    return await abortable((signal) =>
      connection.newStream(MCP_P2P_PROTOCOL, { signal, maxOutboundStreams: Infinity }),
    );
  } catch (cause) {
    if (isCancelled(cause)) throw cause;
    throw new UnreachableError(
      `peer ${connection.remotePeer.toString()} opens no stream of ${MCP_P2P_PROTOCOL}`,
      { cause },
    );
  }
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

function tooLate(target: PeerTarget, timeoutMs: number, cause?: unknown): UnreachableError {
  const name = target.multiaddr ?? target.peerId ?? "any peer";
  return new UnreachableError(`cannot reach ${name} within ${timeoutMs} ms`, { cause });
}

function openError(error: unknown, target: PeerTarget, timeoutMs: number): unknown {
  if (isCancelled(error) || error instanceof NurseryClosedError) {
    return new ShuttingDownError("the node is closing", { cause: error });
  }
  return error instanceof TimeoutError ? tooLate(target, timeoutMs, error) : error;
}
