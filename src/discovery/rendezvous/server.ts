/**
 * A rendezvous node: keeps who is in which namespace, for whoever registers.
 *
 * Only the peer itself can register itself: its record must be signed by the key that the connection has proven, or be
 * about the connection's own peer id. Strangers, who are in no group with this node, get little of everything.
 */
import { randomBytes } from "node:crypto";
import type { Connection, Stream } from "@libp2p/interface";
import { ProtocolError, ShuttingDownError } from "../../errors.ts";
import { failAfter, isCancelled, TimeoutError } from "../../nursery/index.ts";
import { Bucket, type MechanismContext } from "../../p2p/index.ts";
import { Alarm } from "../pause.ts";
import {
  decodeMessage,
  encodeMessage,
  RENDEZVOUS_PROTOCOL,
  type RendezvousMessage,
  STATUS,
  type Verdict,
  type WireRegistration,
} from "./codec.ts";
import { decodeCookie, encodeCookie, RUN_BYTES } from "./cookie.ts";
import {
  DEFAULT_RENDEZVOUS_LIMITS,
  DEFAULT_TTL_MS,
  MAX_NAMESPACE_BYTES,
  MAX_RECORD_BYTES,
  MAX_REQUEST_BYTES,
  MAX_STREAMS,
  MAX_TTL_MS,
  PAGE_SIZE,
  type RendezvousLimits,
  STREAM_IDLE_MS,
} from "./limits.ts";
import { MessageStream } from "./message-stream.ts";
import { openRecord, type OpenedRecord, unsignedRecord } from "./record.ts";
import { isOfUnsignedKind } from "./unsigned-kind.ts";
import { type Registration, Registrations } from "./registrations.ts";

/** How often expired registrations are dropped; until then they are only not given out. */
const SWEEP_MS = 30_000;
const OK: Verdict = { status: STATUS.ok, statusText: "" };

/** What a rendezvous node may be told. */
export interface RendezvousServerOptions {
  /** Whether records without a signature are accepted, from the peer that they are about. */
  readonly unsigned: boolean;
  readonly limits?: Partial<RendezvousLimits> | undefined;
}

type ServerContext = Pick<MechanismContext, "libp2p" | "nursery" | "clock" | "logger" | "isOurs">;
type Request<T extends RendezvousMessage["type"]> = Extract<RendezvousMessage, { readonly type: T }>;

/** Serves the protocol until the nursery of the context ends. @returns what it keeps */
export async function serveRendezvous(
  context: ServerContext,
  options: RendezvousServerOptions,
): Promise<Registrations> {
  const server = new RendezvousServer(context, options);
  const limits = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS };
  await context.libp2p.handle(
    RENDEZVOUS_PROTOCOL,
    (stream, connection) => server.onStream(stream, connection),
    limits,
  );
  context.nursery.startSoon(async () => {
    const alarm = new Alarm(context.clock);
    for (;;) {
      await alarm.wait(SWEEP_MS);
      server.registrations.sweep();
    }
  }, "drop expired registrations");
  return server.registrations;
}

class RendezvousServer {
  readonly registrations: Registrations;
  readonly #context: ServerContext;
  readonly #options: RendezvousServerOptions;
  readonly #limits: RendezvousLimits;
  readonly #run = randomBytes(RUN_BYTES);
  readonly #rates = new WeakMap<Connection, { readonly stranger: boolean; readonly bucket: Bucket }>();

  constructor(context: ServerContext, options: RendezvousServerOptions) {
    this.#context = context;
    this.#options = options;
    this.#limits = { ...DEFAULT_RENDEZVOUS_LIMITS, ...options.limits };
    this.registrations = new Registrations(context.clock, this.#limits);
  }

  onStream(stream: Stream, connection: Connection): void {
    const messages = new MessageStream(stream, MAX_REQUEST_BYTES);
    this.#context.nursery
      .run(() => this.#serve(messages, connection), {}, "rendezvous stream")
      .catch((error: unknown) => {
        messages.abort(isCancelled(error) ? new ShuttingDownError("closing") : error);
        const peer = connection.remotePeer.toString();
        this.#context.logger.debug({ peer, err: error }, "a rendezvous stream was ended");
      });
  }

  async #serve(messages: MessageStream, connection: Connection): Promise<void> {
    for (;;) {
      const bytes = await this.#next(messages);
      if (bytes === undefined) return messages.close();
      const answer = await this.#answer(decodeMessage(bytes), connection);
      if (answer) await failAfter(STREAM_IDLE_MS, () => messages.write(encodeMessage(answer)));
    }
  }

  /** A stream on which nothing comes for a while has ended. */
  async #next(messages: MessageStream): Promise<Uint8Array | undefined> {
    try {
      return await failAfter(STREAM_IDLE_MS, () => messages.read());
    } catch (error) {
      if (error instanceof TimeoutError) return undefined;
      throw error;
    }
  }

  async #answer(request: RendezvousMessage, connection: Connection): Promise<RendezvousMessage | undefined> {
    const allowed = this.#takesOne(connection);
    if (request.type === "register") {
      const { ttlS, verdict } = allowed
        ? await this.#register(request, connection)
        : { ttlS: 0, verdict: refused(STATUS.unavailable, "too many requests") };
      return { type: "registered", ttlS, ...verdict };
    }
    if (request.type === "discover") {
      return allowed
        ? this.#discover(request, connection)
        : nothingFound(refused(STATUS.unavailable, "too many requests"));
    }
    if (request.type !== "unregister") throw new ProtocolError("an answer came where a request was expected");
    if (allowed) this.registrations.remove(request.namespace, connection.remotePeer.toString());
    return undefined;
  }

  async #register(
    request: Request<"register">,
    connection: Connection,
  ): Promise<{ readonly ttlS: number; readonly verdict: Verdict }> {
    const { namespace, ttlS } = request;
    const { clock } = this.#context;
    const stranger = !this.#context.isOurs(connection.remotePeer.toString());
    const askedMs = ttlS === 0 ? DEFAULT_TTL_MS : ttlS * 1000;
    const fault = namespaceFault(namespace) ?? ttlFault(askedMs);
    if (fault) return { ttlS: 0, verdict: fault };
    const record = await this.#open(request.record, connection);
    if ("status" in record) return { ttlS: 0, verdict: record };
    const ttlMs = stranger ? Math.min(askedMs, this.#limits.strangerTtlMs) : askedMs;
    const kept = this.registrations.add({
      namespace,
      peerId: record.peerId.toString(),
      record: request.record,
      signed: record.signed,
      stranger,
      address: hostOf(connection),
      expiresAtMs: clock.now() + ttlMs,
    });
    if (!kept) return { ttlS: 0, verdict: refused(STATUS.unavailable, "too many registrations") };
    return { ttlS: Math.floor(ttlMs / 1000), verdict: OK };
  }

  async #open(bytes: Uint8Array, { remotePeer }: Connection): Promise<OpenedRecord | Verdict> {
    if (bytes.length > MAX_RECORD_BYTES) return refused(STATUS.invalidRecord, "the record is too long");
    try {
      const record = await openRecord(bytes, this.#options.unsigned);
      if (record.peerId.equals(remotePeer)) return record;
      return refused(STATUS.notAuthorized, "a peer can register itself only");
    } catch (error) {
      if (error instanceof ProtocolError) return refused(STATUS.invalidRecord, error.message);
      throw error;
    }
  }

  async #discover(request: Request<"discover">, connection: Connection): Promise<RendezvousMessage> {
    const { namespace, cookie, limit } = request;
    const fault = namespaceFault(namespace);
    if (fault) return nothingFound(fault);
    const after = decodeCookie(cookie, this.#run, namespace);
    if (after === undefined) return nothingFound(refused(STATUS.invalidCookie, "not a cookie of this node"));
    const page = this.registrations.page(namespace, after, limit === 0 ? PAGE_SIZE : limit);
    const unsignedOnly = await this.#readsUnsignedOnly(namespace, connection);
    const registrations = await Promise.all(page.registrations.map((one) => this.#shown(one, unsignedOnly)));
    return {
      type: "discovered",
      registrations,
      cookie: encodeCookie(this.#run, page.last, namespace),
      ...OK,
    };
  }

  /** A peer shows by its own record which ones it understands; one that only asks, by what it calls itself. */
  async #readsUnsignedOnly(namespace: string, connection: Connection): Promise<boolean> {
    if (!this.#options.unsigned) return false;
    const signs = this.registrations.signs(namespace, connection.remotePeer.toString());
    return signs === undefined ? isOfUnsignedKind(this.#context.libp2p, connection.remotePeer) : !signs;
  }

  async #shown(one: Registration, unsignedOnly: boolean): Promise<WireRegistration> {
    const { namespace, expiresAtMs } = one;
    const ttlS = Math.max(1, Math.round((expiresAtMs - this.#context.clock.now()) / 1000));
    const convert = unsignedOnly && one.signed;
    const record = convert ? unsignedRecord(await openRecord(one.record, false)) : one.record;
    return { namespace, record, ttlS };
  }

  #takesOne(connection: Connection): boolean {
    const stranger = !this.#context.isOurs(connection.remotePeer.toString());
    const known = this.#rates.get(connection);
    if (known?.stranger === stranger) return known.bucket.take();
    const { strangerBurst, strangerPerSecond, memberBurst, memberPerSecond } = this.#limits;
    const { clock } = this.#context;
    const bucket = stranger
      ? new Bucket(clock, strangerBurst, strangerPerSecond)
      : new Bucket(clock, memberBurst, memberPerSecond);
    this.#rates.set(connection, { stranger, bucket });
    return bucket.take();
  }
}

function refused(status: number, statusText: string): Verdict {
  return { status, statusText };
}

function nothingFound(verdict: Verdict): RendezvousMessage {
  return { type: "discovered", registrations: [], cookie: new Uint8Array(0), ...verdict };
}

/** The specification lets an empty namespace mean all; whoever knows none has no business with those who are here. */
function namespaceFault(namespace: string): Verdict | undefined {
  const bytes = Buffer.byteLength(namespace);
  if (bytes > 0 && bytes <= MAX_NAMESPACE_BYTES) return undefined;
  return refused(STATUS.invalidNamespace, `a namespace has 1 to ${MAX_NAMESPACE_BYTES} bytes`);
}

function ttlFault(ttlMs: number): Verdict | undefined {
  if (ttlMs <= MAX_TTL_MS) return undefined;
  return refused(STATUS.invalidTtl, `a registration lasts at most ${MAX_TTL_MS / 1000} s`);
}

/** Whose machines a connection comes from: an IPv4 address, or the /64 of an IPv6 one, which one site has for itself. */
function hostOf(connection: Connection): string {
  const [host] = connection.remoteAddr.getComponents();
  const address = host?.value ?? "";
  if (host?.name !== "ip6") return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const after = (tail ?? "").split(":").filter((group) => group !== "").length;
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after);
  return [...groups, ...Array.from({ length: zeros }, () => "0")].slice(0, 4).join(":");
}
