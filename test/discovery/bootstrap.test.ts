import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bootstrapDiscovery, createDiscoveries } from "../../src/discovery/index.ts";
import { discoveryConformance } from "./conformance.ts";

const peerId = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const multiaddr = `/ip4/127.0.0.1/tcp/4001/p2p/${peerId}`;

discoveryConformance("bootstrap", () =>
  Promise.resolve({
    discovery: bootstrapDiscovery([multiaddr]),
    peerId,
    multiaddr,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
);

describe("the bootstrap list", () => {
  it("is refused with the address that is none", () => {
    assert.throws(() => bootstrapDiscovery([multiaddr, "example.org:4001"]), {
      code: "E_CONFIG",
      message: /example\.org/,
    });
  });

  it("uses an address without an id only when any peer will do", async () => {
    const discovery = bootstrapDiscovery(["/ip4/127.0.0.1/tcp/4001"]);
    const { signal } = new AbortController();
    assert.equal((await discovery.find(undefined, signal)).length, 1);
    assert.equal((await discovery.find(peerId, signal)).length, 0);
  });

  it("is on the shelf only if it has something", () => {
    assert.deepEqual(createDiscoveries({ announceFiles: [], bootstrap: [] }), []);
    const both = createDiscoveries({ announceFiles: ["/x"], bootstrap: [multiaddr] });
    assert.deepEqual(
      both.map(({ name }) => name),
      ["announce-file", "bootstrap"],
    );
  });
});
