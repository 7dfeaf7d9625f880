/**
 * Yamux with a guard on each connection: it counts what comes in, whatever protocol it is for.
 *
 * Bytes beyond a peer's allowance are not refused but not read until there is allowance again, so that they wait in
 * the network. A storm of new streams, which cost us more than the peer, ends the connection: most of it never gets as
 * far as a protocol of ours, so nothing above would see it.
 */
import type { MessageStream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import type { Clock } from "../clock.ts";
import { BusyError } from "../errors.ts";
import type { PeerBudget } from "./budget.ts";
import type { P2pLimits } from "./limits.ts";

/** How many offences a storm of streams counts for. */
const STORM_STRIKES = 5;

/** What guarding needs. */
export interface MuxerGuardOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
  /** Whose a connection is. */
  readonly ownerOf: (connection: MessageStream) => PeerBudget | undefined;
}

/** A muxer factory whose connections are guarded. Without `guard` it is plain yamux within the limits. */
export function guardedMuxer(limits: P2pLimits, guard?: MuxerGuardOptions): () => StreamMuxerFactory {
  const make = yamux({
    maxEarlyStreams: limits.maxEarlyStreams,
    maxInboundStreams: limits.maxMuxedStreams,
    streamOptions: { maxStreamWindowSize: limits.streamWindowBytes },
  });
  return () => {
    const factory = make();
    if (!guard) return factory;
    return {
      protocol: factory.protocol,
      createStreamMuxer(connection) {
        const muxer = factory.createStreamMuxer(connection);
        const owner = guard.ownerOf(connection);
        if (owner) new MuxerGuard(connection, muxer, owner, guard).watch();
        return muxer;
      },
    };
  };
}

/** Watches one connection until it ends. */
class MuxerGuard {
  readonly #connection: MessageStream;
  readonly #muxer: StreamMuxer;
  readonly #owner: PeerBudget;
  readonly #options: MuxerGuardOptions;
  /** Bytes that were read since it was last the turn of others. */
  #readBytes = 0;
  #resuming = false;
  #paused = false;
  #watching = false;
  #stopWaiting: (() => void) | undefined;

  constructor(connection: MessageStream, muxer: StreamMuxer, owner: PeerBudget, options: MuxerGuardOptions) {
    this.#connection = connection;
    this.#muxer = muxer;
    this.#owner = owner;
    this.#options = options;
  }

  /** Begins. The listeners keep it alive as long as the connection. */
  watch(): void {
    const connection = this.#connection;
    connection.addEventListener("message", ({ data }) => this.#onBytes(data.byteLength));
    connection.addEventListener("close", () => this.#stopWaiting?.());
  }

  #onBytes(bytes: number): void {
    this.#watchStreams();
    const waitMs = this.#owner.spendBytes(bytes);
    this.#readBytes += bytes;
    if (this.#stopWaiting) return;
    if (waitMs > 0) this.#stopWaiting = this.#options.clock.schedule(() => this.#goOn(), waitMs);
    else if (this.#readBytes >= this.#options.limits.turnBytes) this.#stopWaiting = this.#untilNextTurn();
    else return;
    // While it resumes, the stream hands out what it holds; pausing in the midst of that would be undone.
    if (!this.#resuming) this.#pause();
  }

  #untilNextTurn(): () => void {
    const turn = setImmediate(() => this.#goOn());
    return () => clearImmediate(turn);
  }

  #goOn(): void {
    this.#stopWaiting = undefined;
    this.#readBytes = 0;
    if (!this.#paused || this.#connection.status !== "open") return;
    this.#paused = false;
    this.#resuming = true;
    this.#connection.resume();
    this.#resuming = false;
    if (this.#stopWaiting) this.#pause();
  }

  #pause(): void {
    if (this.#paused || this.#connection.status !== "open") return;
    this.#paused = true;
    this.#connection.pause();
  }

  /** Not before libp2p does: yamux keeps early streams for its first listener, which must not be this one. */
  #watchStreams(): void {
    if (this.#watching || this.#muxer.listenerCount("stream") === 0) return;
    this.#watching = true;
    this.#muxer.addEventListener("stream", this.#onStream);
  }

  readonly #onStream = (): void => {
    if (this.#owner.takeMuxedStream()) return;
    const error = new BusyError("too many new streams of this peer");
    this.#owner.offend("storm of streams", error.message, STORM_STRIKES);
    this.#muxer.abort(error);
    this.#connection.abort(error);
  };
}
