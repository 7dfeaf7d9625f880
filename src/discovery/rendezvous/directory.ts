/**
 * What one rendezvous node has told about others so far.
 *
 * Each look reads only what is new, by cookie. Who has left is seen when a registration expires, or when the whole list
 * is read again, which is done now and then for that.
 */
import type { Clock } from "../../clock.ts";
import { ProtocolError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { Limiter } from "../../nursery/index.ts";
import type { PeerHint } from "../../peer/discovery.ts";
import type { WireRegistration } from "./codec.ts";
import { MAX_PAGES, MAX_TTL_MS, PAGE_SIZE } from "./limits.ts";
import { type RendezvousPoint, StaleCookieError } from "./point.ts";
import { hintOf, openRecord } from "./record.ts";

/** The most peers that are remembered of one server: as many as a full namespace of ours has. */
const MAX_PEERS = 2000;
/** How often the whole list is read again. */
const WHOLE_LIST_MS = 300_000;
const BEGINNING = new Uint8Array(0);

/** What looking needs. */
export interface DirectoryOptions {
  readonly namespace: string;
  /** Whether records without a signature count. */
  readonly unsigned: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Entry {
  readonly hint: PeerHint & { readonly peerId: string };
  readonly expiresAtMs: number;
}

/** The peers that one rendezvous node knows of. */
export class Directory {
  readonly #point: RendezvousPoint;
  readonly #options: DirectoryOptions;
  readonly #entries = new Map<string, Entry>();
  // Two looks at once would read the same page twice, and mix up their cookies.
  readonly #one = new Limiter(1);
  #cookie: Uint8Array = BEGINNING;
  #wholeAtMs = -Infinity;

  constructor(point: RendezvousPoint, options: DirectoryOptions) {
    this.#point = point;
    this.#options = options;
  }

  /** What is known, without asking. */
  hints(): readonly PeerHint[] {
    const now = this.#options.clock.now();
    const hints: PeerHint[] = [];
    for (const [peerId, { hint, expiresAtMs }] of this.#entries) {
      if (expiresAtMs > now) hints.push(hint);
      else this.#entries.delete(peerId);
    }
    return hints;
  }

  /** Forgets how far it was read, since the server may have begun anew. */
  restart(): void {
    this.#cookie = BEGINNING;
  }

  /** Asks for what is new. @throws UnreachableError, and what a refusal means */
  async refresh(): Promise<void> {
    await this.#one.run(async () => {
      try {
        await this.#read();
      } catch (error) {
        if (!(error instanceof StaleCookieError)) throw error;
        this.restart();
        await this.#read();
      }
    });
  }

  async #read(): Promise<void> {
    const { clock, namespace } = this.#options;
    const startedAtMs = clock.now();
    const whole = this.#cookie.length === 0 || startedAtMs - this.#wholeAtMs >= WHOLE_LIST_MS;
    const seen = new Set<string>();
    let cookie = whole ? BEGINNING : this.#cookie;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = await this.#point.discover(namespace, PAGE_SIZE, cookie);
      for (const one of page.registrations) {
        const peerId = await this.#keep(one);
        if (peerId !== undefined) seen.add(peerId);
      }
      const same = Buffer.from(cookie).equals(page.cookie);
      cookie = page.cookie;
      // A server without cookies, or one that never ends, is read once.
      if (page.registrations.length === 0 || same || cookie.length === 0) break;
    }
    this.#cookie = cookie;
    if (!whole) return;
    this.#wholeAtMs = startedAtMs;
    for (const peerId of this.#entries.keys()) if (!seen.has(peerId)) this.#entries.delete(peerId);
  }

  /** @returns whom it is about; undefined if it is of no use */
  async #keep({ namespace, record, ttlS }: WireRegistration): Promise<string | undefined> {
    const { clock, logger, unsigned } = this.#options;
    if (namespace !== this.#options.namespace) return undefined;
    try {
      const opened = await openRecord(record, unsigned);
      const peerId = opened.peerId.toString();
      if (this.#entries.size >= MAX_PEERS && !this.#entries.has(peerId)) return undefined;
      // A list that is read again is in the order of the server.
      this.#entries.delete(peerId);
      const hint = hintOf(opened);
      if (!hint) return undefined;
      const ttlMs = Math.min(Math.max(ttlS, 1) * 1000, MAX_TTL_MS);
      this.#entries.set(peerId, { hint, expiresAtMs: clock.now() + ttlMs });
      return peerId;
    } catch (error) {
      // One bad record hides no other.
      if (!(error instanceof ProtocolError)) throw error;
      logger.debug({ err: error }, "a rendezvous record is of no use");
      return undefined;
    }
  }
}
