/** A network between virtual peers, with delays, losses, repetitions and partitions drawn from a seed. */
import { type Caller, type PeerCaller } from "../authority/caller.ts";
import {
  ConnectionLostError,
  errorFacts,
  type ErrorFacts,
  MethodNotFoundError,
  PeerTimeoutError,
  RemoteError,
} from "../errors.ts";
import { moveOnAfter, type Nursery, suspend } from "../nursery/index.ts";
import {
  DEFAULT_RPC_TIMEOUT_MS,
  type LateOptions,
  type Method,
  type PeerTarget,
  type RpcClient,
  type ServedMethod,
} from "../peer/rpc.ts";
import type { Random } from "./random.ts";
import type { PeerClock, Timeline } from "./time.ts";

/** What the network does to messages. */
export interface NetworkFaults {
  /** Delays vary widely, so that messages overtake each other. */
  readonly delay: boolean;
  /** Some messages arrive twice. */
  readonly duplicate: boolean;
  /** Some messages do not arrive. */
  readonly loss: boolean;
}

/** Of a message on a quiet network, in milliseconds. */
const USUAL_DELAY_MS = [1, 5] as const;
/** And on a bad one; one in {@link SLOW_SHARE} is that slow. */
const BAD_DELAY_MS = [5, 400] as const;
const SLOW_SHARE = 0.15;
const DUPLICATE_SHARE = 0.03;
const LOSS_SHARE = 0.03;
/** A peer whose connection is cut learns of it so soon: what travels through a partition is not waited for. */
const CUT_NOTICE_MS = 50;

type Reply = { readonly answer: unknown } | { readonly error: ErrorFacts };

/** A process that is connected to the network. */
export interface Attachment {
  readonly peerId: string;
  readonly clock: PeerClock;
  readonly nursery: Nursery;
  readonly methods: ReadonlyMap<string, ServedMethod>;
}

/** How much went over the network. */
export interface NetworkCounts {
  messages: number;
  lost: number;
  repeated: number;
  cut: number;
}

/** The network. */
export class Network {
  readonly counts: NetworkCounts = { messages: 0, lost: 0, repeated: 0, cut: 0 };
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #attached = new Map<string, Attachment>();
  readonly #note: (line: string) => void;
  #faults: NetworkFaults;
  /** The side of a partition on which each peer is; undefined: there is no partition. */
  #sides: ReadonlyMap<string, number> | undefined;

  /** @param note - is told of every message, for the trace */
  constructor(timeline: Timeline, random: Random, faults: NetworkFaults, note: (line: string) => void) {
    this.#timeline = timeline;
    this.#random = random;
    this.#faults = faults;
    this.#note = note;
  }

  /** Connects a process; the one before under its peer id is gone. */
  attach(attachment: Attachment): void {
    this.#attached.set(attachment.peerId, attachment);
  }

  /** Divides the peers; those that `sides` does not name are on side 0. Undefined joins them again. */
  divide(sides: ReadonlyMap<string, number> | undefined): void {
    this.#sides = sides;
  }

  /** From now on the network is a good one. */
  heal(): void {
    this.#sides = undefined;
    this.#faults = { delay: false, duplicate: false, loss: false };
  }

  /** Calls in the name of a process. */
  clientOf(from: Attachment): RpcClient {
    return { call: (target, method, input, options) => this.#call(from, target, method, input, options) };
  }

  async #call<I, O>(
    from: Attachment,
    target: PeerTarget,
    method: Method<I, O>,
    input: I,
    { timeoutMs = DEFAULT_RPC_TIMEOUT_MS, onLate }: LateOptions<O> = {},
  ): Promise<O> {
    const to = target.peerId ?? "";
    let isOver = false;
    const outcome = await moveOnAfter(timeoutMs, () =>
      suspend<Reply>((resume, fail) => {
        let isAnswered = false;
        const onReply = (reply: Reply): void => {
          if (isAnswered) return;
          isAnswered = true;
          if (!isOver) resume(reply);
          else if (onLate && "answer" in reply)
            from.nursery.startSoon(() => onLate(method.output.parse(reply.answer)));
        };
        this.#send(from, to, method.name, JSON.stringify(input), onReply);
        return (reason) => {
          isOver = true;
          fail(reason);
        };
      }),
    );
    if (!outcome.ok) throw new PeerTimeoutError(to, timeoutMs);
    if ("error" in outcome.value) throw failureOf(outcome.value.error);
    return method.output.parse(outcome.value.answer);
  }

  #send(from: Attachment, to: string, name: string, body: string, onReply: (reply: Reply) => void): void {
    const back = (reply: string): void => onReply(JSON.parse(reply));
    if (!this.#isOpen(from.peerId, to)) {
      this.counts.cut += 1;
      const facts = errorFacts(new ConnectionLostError(`no connection to ${to}`));
      from.clock.schedule(() => onReply({ error: facts }), CUT_NOTICE_MS);
      return;
    }
    // Of this process: what is on the way when it crashes does not reach the one that comes after it.
    const target = this.#attached.get(to);
    if (target)
      this.#carry(from.peerId, to, name, () => {
        target.clock.whenRunning(() => this.#serve(target, from, name, body, back));
      });
  }

  #serve(
    target: Attachment,
    from: Attachment,
    name: string,
    body: string,
    back: (reply: string) => void,
  ): void {
    const caller: PeerCaller = { kind: "peer", peerId: from.peerId, sameMachine: false, provedToken: true };
    const work = async (): Promise<void> => {
      const reply = JSON.stringify(await answerOf(target, name, JSON.parse(body), caller));
      this.#carry(target.peerId, from.peerId, `${name}!`, () => from.clock.whenRunning(() => back(reply)));
    };
    target.nursery.startSoon(work, name);
  }

  /** Brings one message over, or loses it, or brings it twice. */
  #carry(from: string, to: string, name: string, arrive: () => void): void {
    this.counts.messages += 1;
    if (this.#faults.loss && this.#random.chance(LOSS_SHARE)) {
      this.counts.lost += 1;
      this.#note(`lost ${from} ${to} ${name}`);
      return;
    }
    const copies = this.#faults.duplicate && this.#random.chance(DUPLICATE_SHARE) ? 2 : 1;
    this.counts.repeated += copies - 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#timeline.at(this.#delayMs(), () => {
        if (!this.#isOpen(from, to)) return;
        this.#note(`${from} ${to} ${name}`);
        arrive();
      });
    }
  }

  #delayMs(): number {
    const isSlow = this.#faults.delay && this.#random.chance(SLOW_SHARE);
    return this.#random.within(isSlow ? BAD_DELAY_MS : USUAL_DELAY_MS);
  }

  #isOpen(from: string, to: string): boolean {
    const target = this.#attached.get(to);
    if (!target || target.clock.isDead) return false;
    return (this.#sides?.get(from) ?? 0) === (this.#sides?.get(to) ?? 0);
  }
}

async function answerOf(target: Attachment, name: string, input: unknown, caller: Caller): Promise<Reply> {
  try {
    const method = target.methods.get(name);
    if (!method) throw new MethodNotFoundError(name);
    return { answer: await method.parse(input).run({ caller, signal: target.nursery.signal }) };
  } catch (error) {
    return { error: errorFacts(error) };
  }
}

function failureOf(facts: ErrorFacts): Error {
  return facts.code === "E_CONNECTION_LOST" ? new ConnectionLostError(facts.message) : new RemoteError(facts);
}
