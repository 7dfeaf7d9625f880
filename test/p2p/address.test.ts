import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { isLoopbackAddr, peerIdIn } from "../../src/p2p/index.ts";

const ID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

describe("a multiaddr", () => {
  it("is loopback only if it is plainly so", () => {
    const yes = [
      "/ip4/127.0.0.1/tcp/1",
      "/ip4/127.9.9.9/tcp/1/ws",
      "/ip6/::1/tcp/1",
      `/ip4/127.0.0.1/tcp/1/p2p/${ID}`,
    ];
    const relayed = `/ip4/127.0.0.1/tcp/1/p2p/${ID}/p2p-circuit/p2p/${ID}`;
    const no = [
      "/ip4/0.0.0.0/tcp/1",
      "/ip6/::/tcp/1",
      "/ip4/10.0.0.1/tcp/1",
      "/dns4/localhost/tcp/1",
      relayed,
      `/p2p/${ID}`,
    ];
    assert.deepEqual(
      yes.filter((text) => !isLoopbackAddr(text)),
      [],
    );
    assert.deepEqual(no.filter(isLoopbackAddr), []);
    assert.throws(() => isLoopbackAddr("localhost:1"), { code: "E_INVALID_INPUT" });
  });

  it("names the peer at its end, not the relay on the way", () => {
    assert.equal(peerIdIn(multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${ID}`)), ID);
    assert.equal(peerIdIn(multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${ID}/p2p-circuit`)), undefined);
    assert.equal(peerIdIn(multiaddr("/ip4/127.0.0.1/tcp/1")), undefined);
  });
});
