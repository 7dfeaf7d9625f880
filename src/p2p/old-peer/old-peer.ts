/** A peer that has none of our methods: calls are translated into old messages, on whichever old wire it speaks. */
import type { Stream } from "@libp2p/interface";
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { NotSupportedByPeerError, PeerTimeoutError, UnreachableError } from "../../errors.ts";
import { cancelScope, Limiter } from "../../nursery/index.ts";
import type { P2pLimits } from "../limits.ts";
import { reasonOf, type RequestOptions } from "../link.ts";
import type { Session } from "../session.ts";
import { askLine, endLine } from "./line.ts";
import { nodeTranslations } from "./node-methods.ts";
import { refusalOf } from "./refusal.ts";
import { openSession, type OldSession } from "./session.ts";
import { taskTranslations } from "./task-methods.ts";
import type { OldExchange, Translation } from "./translation.ts";

/** Exchanges with one old peer at a time; the others wait. Each holds a stream, and long waits hold theirs for a minute. */
const MAX_EXCHANGES = 64;
/** Streams kept for the next call; more were a burst. */
const MAX_IDLE_SESSIONS = 4;

const TRANSLATIONS: ReadonlyMap<string, Translation> = new Map(
  [...taskTranslations, ...nodeTranslations].map((translation) => [translation.name, translation]),
);

/** What an old peer needs. */
export interface OldPeerOptions {
  readonly clock: Clock;
  readonly limits: P2pLimits;
  readonly ownPeerId: string;
  /** Sent inside each message to a peer that was named; absent: never. */
  readonly token: string | undefined;
  /** Whether it still counts as what it was found to be. */
  readonly holds: () => boolean;
  /** The workers of the tasks that were claimed there; outlives the connection. */
  readonly workers: Map<string, string>;
}

/** How a call is made. */
export interface OldRequestOptions extends RequestOptions {
  /** Whether the caller named the peer's id, so that it is the one that was meant. */
  readonly named: boolean;
}

/** An old peer on one connection. */
export class OldPeer {
  readonly session: Session;
  readonly dialect: "session" | "line";
  readonly #options: OldPeerOptions;
  readonly #limiter: Limiter = new Limiter(MAX_EXCHANGES);
  #idle: OldSession[] = [];
  /** A stream for the first line, and since when. */
  #unused: { readonly stream: Stream; readonly sinceMs: number } | undefined;
  #closed = false;
  /** Calls that are unanswered. */
  inFlight = 0;

  constructor(session: Session, dialect: "session" | "line", options: OldPeerOptions) {
    this.session = session;
    this.dialect = dialect;
    this.#options = options;
  }

  get peerId(): string {
    return this.session.peerId;
  }

  /** Whether calls can be made without looking anew at what it speaks. */
  get isOpen(): boolean {
    return !this.#closed && this.session.connection.status === "open" && this.#options.holds();
  }

  /** Whether a call of this method may be made again when its answer was lost. */
  mayRepeat(method: string): boolean {
    return TRANSLATIONS.get(method)?.repeatable ?? false;
  }

  /**
   * Does a method of ours there.
   *
   * @returns the result as the method would have it
   * @throws NotSupportedByPeerError, RemoteError, PeerTimeoutError, ConnectionLostError, UnreachableError (nothing was
   *   sent), MessageTooLargeError, ProtocolError, BusyError, or the reason of `signal`
   */
  async request(method: string, params: unknown, options: OldRequestOptions): Promise<unknown> {
    const { timeoutMs, untilMs, signal, named } = options;
    const translation = TRANSLATIONS.get(method);
    if (!translation) throw new NotSupportedByPeerError(this.peerId, method);
    const exchange = this.#exchange(timeoutMs, named);
    const leftMs = Math.max(untilMs - this.#options.clock.now(), 0);
    this.inFlight += 1;
    try {
      const done = await cancelScope(() => translation.run(params, exchange), { timeoutMs: leftMs, signal });
      if (done.ok) return done.value;
    } finally {
      this.inFlight -= 1;
    }
    throw signal?.aborted === true ? reasonOf(signal) : new PeerTimeoutError(this.peerId, timeoutMs);
  }

  /** Takes a stream that was opened to find out what the peer speaks. */
  keep(session: OldSession): void {
    if (!this.#closed && session.isUsable && this.#idle.length < MAX_IDLE_SESSIONS) this.#idle.push(session);
    else session.wire.closeSoon();
  }

  /** Takes a stream that showed that the peer speaks lines; the next request goes over it. */
  keepStream(stream: Stream): void {
    this.#endUnused();
    if (this.#closed) endLine(stream, this.#options);
    else this.#unused = { stream, sinceMs: this.#options.clock.now() };
  }

  /** Ends the streams that were not used for a while. */
  closeIdle(nowMs: number): void {
    const { idleMs, sweepMs } = this.#options.limits;
    // The peer waits for a line on it; for how long is not known.
    if (this.#unused && nowMs - this.#unused.sinceMs >= sweepMs) this.#endUnused();
    const old = this.#idle.filter(({ wire }) => nowMs - wire.lastUsedMs >= idleMs);
    this.#idle = this.#idle.filter((session) => !old.includes(session));
    for (const { wire } of old) wire.closeSoon();
  }

  /** Makes no more calls. Those under way go on. */
  close(): void {
    this.#closed = true;
    this.#endUnused();
    for (const { wire } of this.#idle) wire.closeSoon();
    this.#idle = [];
  }

  #exchange(timeoutMs: number, named: boolean): OldExchange {
    const { clock, ownPeerId, workers, token } = this.#options;
    const proof = token === undefined || !named ? {} : { token };
    const askAnyway = (message: JsonObject): Promise<JsonObject> =>
      this.#limiter.run(() => this.#send({ ...message, ...proof }));
    const ask = async (message: JsonObject): Promise<JsonObject> => {
      const answer = await askAnyway(message);
      if (answer["ok"] === false) throw refusalOf(this.peerId, answer);
      return answer;
    };
    return { peerId: this.peerId, ownPeerId, clock, timeoutMs, workers, ask, askAnyway };
  }

  async #send(message: JsonObject): Promise<JsonObject> {
    try {
      return this.dialect === "line"
        ? await askLine(this.session.connection, message, this.#options, this.#takeUnused())
        : await this.#sendInSession(message);
    } catch (error) {
      // It may have been replaced by a newer version: look anew.
      if (error instanceof UnreachableError) this.close();
      throw error;
    }
  }

  async #sendInSession(message: JsonObject): Promise<JsonObject> {
    const session = this.#takeIdle() ?? (await openSession(this.session.connection, this.#options));
    try {
      return await session.ask(message);
    } finally {
      this.keep(session);
    }
  }

  #takeUnused(): Stream | undefined {
    const unused = this.#unused;
    this.#unused = undefined;
    return unused?.stream;
  }

  #endUnused(): void {
    const stream = this.#takeUnused();
    if (stream) endLine(stream, this.#options);
  }

  #takeIdle(): OldSession | undefined {
    for (;;) {
      const session = this.#idle.pop();
      if (session === undefined || session.isUsable) return session;
      session.wire.closeSoon();
    }
  }
}
