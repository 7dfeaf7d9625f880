/** Who is where, as rendezvous nodes keep it: a signed peer record, or the unsigned one of py-libp2p. */
import type { PeerId, PublicKey } from "@libp2p/interface";
import { peerIdFromMultihash, peerIdFromPublicKey } from "@libp2p/peer-id";
import { PeerRecord, RecordEnvelope } from "@libp2p/peer-record";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import * as Digest from "multiformats/hashes/digest";
import { writer } from "protons-runtime";
import { ProtocolError } from "../../errors.ts";
import { isLoopbackAddr, type MechanismContext } from "../../p2p/index.ts";
import type { PeerHint, SelfDescription } from "../../peer/discovery.ts";
import { decodePeerInfo, encodePeerInfo } from "./codec.ts";

/** More addresses of one peer than this are noise; libp2p dials at most 25. */
const MAX_ADDRESSES = 25;

/** A record that was read, and, if it is signed, whose signature is right. */
export interface OpenedRecord {
  readonly peerId: PeerId;
  readonly multiaddrs: readonly Multiaddr[];
  readonly signed: boolean;
}

/** What a record is made from. */
export interface RecordFacts {
  readonly peerId: PeerId;
  readonly publicKey: PublicKey;
  /** Without the peer id at their end. */
  readonly multiaddrs: readonly Multiaddr[];
  /** A later record has a higher number. */
  readonly sequence: bigint;
  readonly sign: (bytes: Uint8Array) => Promise<Uint8Array>;
}

/**
 * What this node says about itself now.
 *
 * @param loopback - whether the addresses of loopback too, which mean something on this machine only
 */
export function recordFacts(
  self: SelfDescription,
  { libp2p, clock }: Pick<MechanismContext, "libp2p" | "clock">,
  loopback: boolean,
): RecordFacts {
  const { peerId } = libp2p;
  if (peerId.publicKey === undefined) throw new TypeError("this node's peer id has no public key");
  const end = `/p2p/${self.peerId}`;
  const multiaddrs = self
    .multiaddrs()
    .filter((text) => loopback || !isLoopbackAddr(text))
    .map((text) => multiaddr(text.endsWith(end) ? text.slice(0, -end.length) : text));
  const sequence = BigInt(clock.epochMs());
  return { peerId, publicKey: peerId.publicKey, multiaddrs, sequence, sign: (bytes) => self.sign(bytes) };
}

/** The hint that a record gives; undefined if it has no address. */
export function hintOf({
  peerId,
  multiaddrs,
}: OpenedRecord): (PeerHint & { readonly peerId: string }) | undefined {
  const id = peerId.toString();
  const end = `/p2p/${id}`;
  const texts = multiaddrs.map(String).map((text) => (text.endsWith(end) ? text : text + end));
  return texts.length === 0 ? undefined : { peerId: id, multiaddrs: texts, method: "rendezvous" };
}

/**
 * A signed record as bytes: a `PeerRecord` in a signed envelope (libp2p RFC 2 and RFC 3).
 *
 * What is signed is domain, type and payload, each after its length as a varint.
 */
export async function signRecord(facts: RecordFacts): Promise<Uint8Array> {
  const { peerId, publicKey, sequence } = facts;
  const record = new PeerRecord({ peerId, multiaddrs: [...facts.multiaddrs], seqNumber: sequence });
  const payload = record.marshal();
  const signature = await facts.sign(
    writer().string(PeerRecord.DOMAIN).bytes(PeerRecord.CODEC).bytes(payload).finish(),
  );
  return new RecordEnvelope({ publicKey, payloadType: PeerRecord.CODEC, payload, signature }).marshal();
}

/** The same unsigned, for py-libp2p. */
export function unsignedRecord({
  peerId,
  multiaddrs,
}: Pick<RecordFacts, "peerId" | "multiaddrs">): Uint8Array {
  return encodePeerInfo({
    id: peerId.toMultihash().bytes,
    addresses: multiaddrs.map((address) => address.bytes),
  });
}

/**
 * Reads a record.
 *
 * @param acceptUnsigned - whether one without a signature will do; anybody can have written that
 * @throws ProtocolError if it is none, is not signed, or is signed by another key than that of the peer it is about
 */
export async function openRecord(bytes: Uint8Array, acceptUnsigned: boolean): Promise<OpenedRecord> {
  const payload = await signedPayload(bytes);
  if (payload !== undefined) return payload;
  if (!acceptUnsigned) throw new ProtocolError("a rendezvous record is not signed");
  try {
    const { id, addresses } = decodePeerInfo(bytes);
    return {
      peerId: peerIdFromMultihash(Digest.decode(id)),
      multiaddrs: addresses.slice(0, MAX_ADDRESSES).map((address) => multiaddr(address)),
      signed: false,
    };
  } catch (cause) {
    throw new ProtocolError("a rendezvous record is damaged", { cause });
  }
}

/** @returns undefined if the bytes are no signed record. @throws ProtocolError if they are one of somebody else */
async function signedPayload(bytes: Uint8Array): Promise<OpenedRecord | undefined> {
  let envelope: RecordEnvelope;
  let record: PeerRecord;
  try {
    envelope = await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN);
    record = PeerRecord.createFromProtobuf(envelope.payload);
  } catch {
    // No envelope, or a wrong signature: as a signed record it is worth nothing, and as an unsigned one it is damaged.
    return undefined;
  }
  const { peerId } = record;
  if (!peerId.equals(peerIdFromPublicKey(envelope.publicKey)))
    throw new ProtocolError(`a rendezvous record about ${peerId.toString()} is signed by somebody else`);
  return { peerId, multiaddrs: record.multiaddrs.slice(0, MAX_ADDRESSES), signed: true };
}
