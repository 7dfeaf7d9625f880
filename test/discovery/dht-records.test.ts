import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { peerIdFromString } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { decodeProviders, encode } from "../../src/discovery/dht/old-providers.ts";
import { hintsOf, MAX_PROVIDER_ADDRESSES } from "../../src/discovery/dht/discovery.ts";

const peerId = peerIdFromString("12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN");
const addresses = (count: number): ReturnType<typeof multiaddr>[] =>
  Array.from({ length: count }, (_, port) => multiaddr(`/ip4/203.0.113.1/tcp/${port + 1}`));

describe("records of a DHT by hostile nodes", () => {
  it("have so many addresses and no more, and none that are too long", () => {
    const long = multiaddr(`/dns4/${"a".repeat(2000)}/tcp/1`);
    const [hint] = hintsOf({ peerId, multiaddrs: [long, ...addresses(5000)] });
    assert.equal(hint?.multiaddrs.length, MAX_PROVIDER_ADDRESSES);
    assert.ok(hint?.multiaddrs.every((text) => text.length < 600));
    assert.deepEqual(hintsOf({ peerId, multiaddrs: [long] }), []);
  });

  it("are cut, garbled or forged without an end or a memory beyond their size", () => {
    const message = encode(3, new Uint8Array(32), { peerId, multiaddrs: addresses(3) });
    for (let end = 0; end < message.length; end++) read(message.subarray(0, end));
    for (let at = 0; at < message.length; at++) {
      const garbled = Uint8Array.from(message);
      garbled[at] = (garbled[at] ?? 0) ^ 0xff;
      for (const one of read(garbled)) assert.ok(one.multiaddrs.length <= 3);
    }
    assert.equal(read(message).length, 1);
  });
});

/** What is in a message; one that is none makes an error, as its reader expects. */
function read(message: Uint8Array): ReturnType<typeof decodeProviders> {
  try {
    return decodeProviders(message);
  } catch (error) {
    assert.ok(error instanceof Error);
    return [];
  }
}
