/**
 * Provider records under a key that is no multihash, as old Python nodes use it: kad-dht of libp2p can neither provide nor
 * find them, so the two messages are made here (github.com/libp2p/specs, kad-dht, RPC messages).
 *
 * Nodes that run js-libp2p refuse such a key; those that run go-libp2p or py-libp2p keep it.
 */
import type { PeerId } from "@libp2p/interface";
import type { KadDHT } from "@libp2p/kad-dht";
import { peerIdFromMultihash } from "@libp2p/peer-id";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import * as Digest from "multiformats/hashes/digest";
import { reader, writer } from "protons-runtime";
import { abortable, failAfter, openNursery, rethrowIfCancelled } from "../../nursery/index.ts";
import type { Libp2pNode } from "../../p2p/index.ts";
import { MessageStream } from "../rendezvous/message-stream.ts";

/** Field and type numbers of the DHT's messages. */
const FIELD = { type: 1, key: 2, providers: 9, id: 1, addresses: 2 } as const;
const TYPE = { addProvider: 2, getProviders: 3 } as const;
const LENGTH_DELIMITED = 2;
/** An answer with twenty peers of twenty addresses each has some 30 kB. */
const MAX_ANSWER_BYTES = 256 * 1024;
const REQUEST_MS = 5000;

/** A provider as the wire has it. */
export interface Provider {
  readonly peerId: PeerId;
  readonly multiaddrs: readonly Multiaddr[];
}

/** What asking needs. */
export interface OldProvidersOptions {
  readonly libp2p: Libp2pNode;
  readonly dht: KadDHT;
  readonly protocol: string;
  readonly key: Uint8Array;
}

/** Tells the nodes closest to the key that this node provides it. @returns how many were told */
export async function provideOldKey(
  options: OldProvidersOptions,
  multiaddrs: readonly Multiaddr[],
): Promise<number> {
  const peerId = options.libp2p.peerId;
  const message = encode(TYPE.addProvider, options.key, { peerId, multiaddrs });
  let told = 0;
  await atClosest(options, async (messages) => {
    await messages.write(message);
    await abortable((signal) => messages.finish(signal));
    told += 1;
  });
  return told;
}

/** Asks the nodes closest to the key who provides it. */
export async function findOldKey(
  options: OldProvidersOptions,
  onProvider: (provider: Provider) => void,
): Promise<void> {
  const message = encode(TYPE.getProviders, options.key);
  await atClosest(options, async (messages) => {
    await messages.write(message);
    const answer = await messages.read();
    messages.close();
    if (answer) for (const provider of decodeProviders(answer)) onProvider(provider);
  });
}

/** The bytes of a message. */
export function encode(type: number, key: Uint8Array, provider?: Provider): Uint8Array {
  const out = writer()
    .uint32(FIELD.type << 3)
    .uint32(type);
  out.uint32((FIELD.key << 3) | LENGTH_DELIMITED).bytes(key);
  if (provider) {
    const peer = writer();
    peer.uint32((FIELD.id << 3) | LENGTH_DELIMITED).bytes(provider.peerId.toMultihash().bytes);
    for (const address of provider.multiaddrs)
      peer.uint32((FIELD.addresses << 3) | LENGTH_DELIMITED).bytes(address.bytes);
    out.uint32((FIELD.providers << 3) | LENGTH_DELIMITED).bytes(peer.finish());
  }
  return out.finish();
}

/** The providers in a message; one that cannot be read hides no other. */
export function decodeProviders(message: Uint8Array): readonly Provider[] {
  return fieldsOf(message, FIELD.providers).flatMap((bytes) => {
    try {
      const [id] = fieldsOf(bytes, FIELD.id);
      if (id === undefined) return [];
      const multiaddrs = fieldsOf(bytes, FIELD.addresses).map((address) => multiaddr(address));
      return [{ peerId: peerIdFromMultihash(Digest.decode(id)), multiaddrs }];
    } catch {
      return [];
    }
  });
}

/** What a field holds each time it comes. */
function fieldsOf(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const input = reader(bytes);
  const found: Uint8Array[] = [];
  while (input.pos < input.len) {
    const tag = input.uint32();
    if (tag >>> 3 === wanted && (tag & 7) === LENGTH_DELIMITED) found.push(input.bytes());
    else input.skipType(tag & 7);
  }
  return found;
}

async function atClosest(
  { libp2p, dht, protocol, key }: OldProvidersOptions,
  fn: (messages: MessageStream) => Promise<void>,
): Promise<void> {
  const closest = new Map<string, PeerId>();
  await abortable(async (signal) => {
    for await (const event of dht.getClosestPeers(key, { signal }))
      if (event.name === "FINAL_PEER") closest.set(event.peer.id.toString(), event.peer.id);
  });
  await openNursery(async (all) => {
    for (const peer of closest.values()) {
      all.startSoon(async () => {
        try {
          await failAfter(REQUEST_MS, async () => {
            const stream = await abortable((signal) => libp2p.dialProtocol(peer, protocol, { signal }));
            const messages = new MessageStream(stream, MAX_ANSWER_BYTES);
            try {
              await fn(messages);
            } catch (error) {
              messages.abort(error);
              throw error;
            }
          });
        } catch (error) {
          // One node that is away, or refuses the key, is as good as one that does not exist.
          rethrowIfCancelled(error);
        }
      });
    }
  });
}
