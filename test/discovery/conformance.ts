/** What every discovery must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Discovery } from "../../src/peer/discovery.ts";

/** A discovery at whose place one peer is to be found, and what it needs afterwards. */
export interface DiscoveryFixture extends AsyncDisposable {
  readonly discovery: Discovery;
  readonly peerId: string;
  readonly multiaddr: string;
}

/** Runs the suite. `open` makes a discovery that can find exactly one peer. */
export function discoveryConformance(name: string, open: () => Promise<DiscoveryFixture>): void {
  describe(`${name} as a discovery`, () => {
    it("finds the peer, whether it is asked for by name or not, and says how", async () => {
      await using fixture = await open();
      const { discovery, peerId, multiaddr } = fixture;
      const { signal } = new AbortController();
      for (const wanted of [undefined, peerId]) {
        const hints = await discovery.find(wanted, signal);
        assert.deepEqual(
          hints.map((hint) => [hint.peerId, hint.multiaddrs[0], hint.method]),
          [[peerId, multiaddr, discovery.name]],
        );
      }
    });

    it("finds nothing, and does not fail, when another peer is asked for", async () => {
      await using fixture = await open();
      const other = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
      assert.deepEqual(await fixture.discovery.find(other, new AbortController().signal), []);
    });

    it("finds the same when it looks again", async () => {
      await using fixture = await open();
      const { signal } = new AbortController();
      const first = await fixture.discovery.find(undefined, signal);
      assert.deepEqual(await fixture.discovery.find(undefined, signal), first);
    });
  });
}
