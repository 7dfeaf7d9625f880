/**
 * Asks, answers and remembers, at the pace that RFC 6762 allows: one announcement a second at most, however many ask.
 *
 * All sending is done by the one task in {@link Responder.run}; whoever wants something sent says when, and wakes it.
 */
import type { Packet, Question } from "dns-packet";
import type { Clock } from "../../clock.ts";
import type { Logger } from "../../logger.ts";
import type { PeerHint } from "../../peer/discovery.ts";
import { Wakeup } from "../wakeup.ts";
import { type Announced, announcement, asksFor, farewell } from "./answer.ts";
import type { MdnsState } from "./examine.ts";
import { Heard } from "./heard.ts";
import { MDNS_LIMITS } from "./limits.ts";
import { type MdnsSocket, openMdnsSocket } from "./socket.ts";

const {
  mdnsPauseMs: { value: MIN_PAUSE_MS },
  mdnsReopenMs: { value: REOPEN_MS },
} = MDNS_LIMITS;
/** Answers of many nodes to one question are spread over this time, beginning after {@link ANSWER_AFTER_MS}. */
const ANSWER_SPREAD_MS = 100;
const ANSWER_AFTER_MS = 20;
/** The first question and announcement are repeated once, since a packet may be lost. */
const REPEATED = 2;

/** What a responder is made of. */
export interface ResponderOptions {
  readonly peerId: string;
  multiaddrs(): readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly service: string;
  readonly browse: readonly string[];
  readonly instance: string;
  readonly method: string;
  readonly intervalMs: number;
  readonly port: number;
  readonly loopback: boolean;
  /** Whether the network is to be used now. */
  isWanted(): boolean;
}

/** How to wait for something to be heard. */
export interface Waiting {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** One node on the local network. */
export class Responder {
  readonly #options: ResponderOptions;
  readonly #heard: Heard;
  readonly #work = new Wakeup();
  readonly #listeners = new Set<() => void>();
  #socket: MdnsSocket | undefined;
  #announcing = false;
  #said = false;
  #askAt = 0;
  #askedAt = -Infinity;
  #sayAt = Infinity;
  #saidAt = -Infinity;
  #asksLeft = REPEATED;
  #saysLeft = 0;
  #warned = false;
  #failure: Error | undefined;

  constructor(options: ResponderOptions) {
    this.#options = options;
    const { service, browse, method, clock } = options;
    this.#heard = new Heard({ services: [service, ...browse], method, clock });
  }

  /** Whether the network is in use. */
  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** How it stands. */
  get state(): MdnsState {
    const { service, browse, port } = this.#options;
    const wanted = this.#options.isWanted();
    const heard = this.hints(undefined).length;
    const failure = this.#failure;
    return { service, browse, port, wanted, heard, failure, interfaces: this.#socket?.interfaces() };
  }

  /** Those heard of but this node. */
  hints(wanted: string | undefined): readonly PeerHint[] {
    return this.#heard.hints(wanted).filter(({ peerId }) => peerId !== this.#options.peerId);
  }

  /** Asks soon, if it was not done just now. */
  ask(): void {
    this.#askAt = Math.min(this.#askAt, this.#askedAt + MIN_PAUSE_MS);
    this.#work.wake();
  }

  /** Begins to announce this node, or takes it back. */
  announce(announcing: boolean): void {
    this.#announcing = announcing;
    this.addressesChanged();
  }

  /** Says soon where the node is now. */
  addressesChanged(): void {
    this.#saysLeft = REPEATED;
    this.#sayIn(0);
  }

  /** Waits until `enough`, at most `ms` milliseconds. @throws the signal's reason */
  async heardWithin(ms: number, enough: () => boolean, { signal, clock }: Waiting): Promise<void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const check = (): void => {
      if (enough()) resolve();
    };
    const abort = (): void => reject(signal.reason);
    const undo = clock.schedule(resolve, ms);
    this.#listeners.add(check);
    signal.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      undo();
      this.#listeners.delete(check);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Works until it is cancelled; {@link Responder.close} has to follow. */
  async run(): Promise<void> {
    const { clock, intervalMs } = this.#options;
    for (;;) {
      const until = (await this.#isReady()) ? await this.#step() : clock.now() + REOPEN_MS;
      await this.#work.wait(Math.min(Math.max(until - clock.now(), 0), Math.max(intervalMs, REOPEN_MS)));
    }
  }

  /** Takes back what was said, and leaves the network. */
  async close(): Promise<void> {
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    if (this.#said) await socket.send(() => farewell(this.#options));
    this.#said = false;
    await socket.close();
  }

  async #isReady(): Promise<boolean> {
    const { port, loopback, logger } = this.#options;
    if (!this.#options.isWanted()) {
      await this.close();
      return false;
    }
    if (this.#socket) return true;
    try {
      const onPacket = (packet: Packet, source: { readonly address: string; readonly port: number }): void =>
        this.#receive(packet, source);
      this.#socket = await openMdnsSocket({ port, loopback, logger, onPacket });
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      if (!this.#warned) logger.warn({ port, err: error }, "no multicast DNS for now; it is tried again");
      this.#warned = true;
      return false;
    }
    this.#failure = undefined;
    this.#askAt = 0;
    this.#asksLeft = REPEATED;
    this.addressesChanged();
    return true;
  }

  /** Sends what is due. @returns when the next thing is, by the clock */
  async #step(): Promise<number> {
    const { clock, intervalMs } = this.#options;
    if (this.#askAt <= clock.now()) {
      this.#socket?.refresh();
      this.#asksLeft -= 1;
      this.#askedAt = clock.now();
      this.#askAt = clock.now() + (this.#asksLeft > 0 ? MIN_PAUSE_MS : intervalMs);
      await this.#socket?.send(() => this.#question());
    }
    if (this.#sayAt <= clock.now()) {
      this.#saysLeft -= 1;
      this.#saidAt = clock.now();
      this.#sayAt = this.#saysLeft > 0 && this.#announcing ? clock.now() + MIN_PAUSE_MS : Infinity;
      await this.#say();
    }
    return Math.min(this.#askAt, this.#sayAt);
  }

  async #say(): Promise<void> {
    const announced = this.#announced();
    const bye = this.#said ? farewell(announced) : undefined;
    let said = false;
    await this.#socket?.send(({ addresses }) => {
      const packet = this.#announcing ? announcement(announced, addresses) : undefined;
      said ||= packet !== undefined;
      return packet ?? bye;
    });
    this.#said = said;
  }

  #sayIn(ms: number): void {
    const { clock } = this.#options;
    this.#sayAt = Math.min(this.#sayAt, Math.max(clock.now() + ms, this.#saidAt + MIN_PAUSE_MS));
    this.#work.wake();
  }

  #question(): Packet {
    const { service, browse } = this.#options;
    const questions: Question[] = [service, ...browse].map((name) => ({ type: "PTR", name }));
    return { type: "query", id: 0, flags: 0, questions: [...questions, ...this.#heard.questions()] };
  }

  #announced(): Announced {
    const { service, instance, peerId, loopback } = this.#options;
    return { service, instance, peerId, loopback, multiaddrs: this.#options.multiaddrs() };
  }

  #receive(packet: Packet, source: { readonly address: string; readonly port: number }): void {
    if (packet.type === "query") {
      if (this.#announcing && asksFor(packet, this.#options))
        this.#sayIn(ANSWER_AFTER_MS + Math.random() * ANSWER_SPREAD_MS);
      return;
    }
    // RFC 6762, section 6: a response from another port is not one of multicast DNS.
    if (source.port !== this.#options.port || !this.#heard.take(packet, source)) return;
    if (this.#heard.isMissingParts) this.ask();
    for (const listener of this.#listeners) listener();
  }
}
