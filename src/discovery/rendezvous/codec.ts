/**
 * The messages of `/rendezvous/1.0.0` as bytes: github.com/libp2p/specs, rendezvous/README.md, revision of 2021-07-12.
 *
 * Field 2 of a registration is a signed peer record there, and an unsigned `PeerInfo` in py-libp2p 0.7. Both have a
 * length, so here it is only bytes; record.ts tells them apart. What proto3 leaves out because it is zero counts as zero.
 */
import { reader, writer, type Writer } from "protons-runtime";
import { ProtocolError } from "../../errors.ts";

/** The protocol's name. */
export const RENDEZVOUS_PROTOCOL = "/rendezvous/1.0.0";

/** What a server answers, as numbers of the wire. */
export const STATUS = {
  ok: 0,
  invalidNamespace: 100,
  invalidRecord: 101,
  invalidTtl: 102,
  invalidCookie: 103,
  notAuthorized: 200,
  internalError: 300,
  unavailable: 400,
} as const;

/** One registration, as it is asked for and as it is given out. */
export interface WireRegistration {
  readonly namespace: string;
  readonly record: Uint8Array;
  /** 0: as long as the server thinks right. */
  readonly ttlS: number;
}

/** What a server says to a request. */
export interface Verdict {
  readonly status: number;
  readonly statusText: string;
}

/** Every message of the protocol. */
export type RendezvousMessage =
  | ({ readonly type: "register" } & WireRegistration)
  | ({ readonly type: "registered"; readonly ttlS: number } & Verdict)
  | { readonly type: "unregister"; readonly namespace: string; readonly id: Uint8Array }
  | {
      readonly type: "discover";
      readonly namespace: string;
      /** 0: as many as the server thinks right. */
      readonly limit: number;
      /** Empty: from the beginning. */
      readonly cookie: Uint8Array;
    }
  | ({
      readonly type: "discovered";
      readonly registrations: readonly WireRegistration[];
      readonly cookie: Uint8Array;
    } & Verdict);

/** The numbers of the message types, in the order of the wire. */
const TYPES = ["register", "registered", "unregister", "discover", "discovered"] as const;
const VARINT = 0;
const LENGTH_DELIMITED = 2;
/** Fields of one message, unknown ones included; a page of registrations is the largest. */
const MAX_FIELDS = 2000;
const NOTHING = new Uint8Array(0);

/** The bytes of a message. */
export function encodeMessage(message: RendezvousMessage): Uint8Array {
  const out = writer();
  const number = TYPES.indexOf(message.type);
  varintField(out, 1, number);
  // The body of a message type is the field whose number is one above its own.
  nested(out, number + 2, (body) => encodeBody(body, message));
  return out.finish();
}

/** @throws ProtocolError if the bytes are no message */
export function decodeMessage(bytes: Uint8Array): RendezvousMessage {
  const fields = new Fields(bytes);
  const number = fields.varint(1);
  const type = TYPES[number];
  if (type === undefined) throw new ProtocolError(`rendezvous has no message of type ${number}`);
  const body = new Fields(fields.bytes(number + 2));
  return BODIES[type](body);
}

/** How the body of each type is read. */
const BODIES: { readonly [T in (typeof TYPES)[number]]: (body: Fields) => RendezvousMessage } = {
  register: (body) => ({ type: "register", ...registrationOf(body) }),
  registered: (body) => ({
    type: "registered",
    status: body.varint(1),
    statusText: body.text(2),
    ttlS: body.varint(3),
  }),
  unregister: (body) => ({ type: "unregister", namespace: body.text(1), id: body.bytes(2) }),
  discover: (body) => ({
    type: "discover",
    namespace: body.text(1),
    limit: body.varint(2),
    cookie: body.bytes(3),
  }),
  discovered: (body) => ({
    type: "discovered",
    registrations: body.all(1).map((one) => registrationOf(new Fields(one))),
    cookie: body.bytes(2),
    status: body.varint(3),
    statusText: body.text(4),
  }),
};

/** An unsigned record of py-libp2p: who, and where. */
export interface PeerInfo {
  readonly id: Uint8Array;
  readonly addresses: readonly Uint8Array[];
}

/** The bytes of an unsigned record. */
export function encodePeerInfo({ id, addresses }: PeerInfo): Uint8Array {
  const out = writer();
  bytesField(out, 1, id);
  for (const address of addresses) bytesField(out, 2, address);
  return out.finish();
}

/** @throws ProtocolError if the bytes are no unsigned record */
export function decodePeerInfo(bytes: Uint8Array): PeerInfo {
  const fields = new Fields(bytes);
  return { id: fields.bytes(1), addresses: fields.all(2) };
}

function encodeBody(body: Writer, message: RendezvousMessage): void {
  switch (message.type) {
    case "register":
      return encodeRegistration(body, message);
    case "registered":
      varintField(body, 1, message.status);
      textField(body, 2, message.statusText);
      return varintField(body, 3, message.ttlS);
    case "unregister":
      textField(body, 1, message.namespace);
      return bytesField(body, 2, message.id);
    case "discover":
      textField(body, 1, message.namespace);
      varintField(body, 2, message.limit);
      return message.cookie.length > 0 ? bytesField(body, 3, message.cookie) : undefined;
    case "discovered":
      for (const one of message.registrations) nested(body, 1, (inner) => encodeRegistration(inner, one));
      bytesField(body, 2, message.cookie);
      varintField(body, 3, message.status);
      return textField(body, 4, message.statusText);
  }
}

function encodeRegistration(out: Writer, { namespace, record, ttlS }: WireRegistration): void {
  textField(out, 1, namespace);
  bytesField(out, 2, record);
  if (ttlS > 0) varintField(out, 3, ttlS);
}

function registrationOf(fields: Fields): WireRegistration {
  return { namespace: fields.text(1), record: fields.bytes(2), ttlS: fields.varint(3) };
}

function varintField(out: Writer, field: number, value: number): void {
  out.uint32((field << 3) | VARINT).uint64Number(value);
}

function bytesField(out: Writer, field: number, value: Uint8Array): void {
  out.uint32((field << 3) | LENGTH_DELIMITED).bytes(value);
}

function textField(out: Writer, field: number, value: string): void {
  if (value !== "") out.uint32((field << 3) | LENGTH_DELIMITED).string(value);
}

function nested(out: Writer, field: number, write: (body: Writer) => void): void {
  const body = writer();
  write(body);
  bytesField(out, field, body.finish());
}

/** The fields of one message; of one that came several times the last counts, as in protobuf. */
class Fields {
  readonly #varints = new Map<number, number>();
  readonly #bytes = new Map<number, Uint8Array[]>();

  constructor(bytes: Uint8Array) {
    try {
      this.#read(bytes);
    } catch (cause) {
      if (cause instanceof ProtocolError) throw cause;
      throw new ProtocolError("a rendezvous message is damaged", { cause });
    }
  }

  varint(field: number): number {
    return this.#varints.get(field) ?? 0;
  }

  bytes(field: number): Uint8Array {
    return this.#bytes.get(field)?.at(-1) ?? NOTHING;
  }

  all(field: number): readonly Uint8Array[] {
    return this.#bytes.get(field) ?? [];
  }

  text(field: number): string {
    return new TextDecoder("utf-8", { fatal: true }).decode(this.bytes(field));
  }

  #read(bytes: Uint8Array): void {
    const input = reader(bytes);
    let count = 0;
    while (input.pos < input.len) {
      count += 1;
      if (count > MAX_FIELDS) throw new ProtocolError("a rendezvous message has too many fields");
      const tag = input.uint32();
      const field = tag >>> 3;
      const wire = tag & 7;
      if (wire === VARINT) this.#varints.set(field, input.uint64Number());
      else if (wire === LENGTH_DELIMITED) {
        const values = this.#bytes.get(field) ?? [];
        values.push(input.bytes());
        this.#bytes.set(field, values);
      } else input.skipType(wire);
    }
  }
}
