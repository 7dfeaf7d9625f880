/** What every discovery must do. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openNursery } from "../../src/nursery/index.ts";
import type { Discovery, PeerHint, SelfDescription } from "../../src/peer/discovery.ts";

/** A discovery at whose place one peer is to be found, and what it needs afterwards. */
export interface DiscoveryFixture extends AsyncDisposable {
  readonly discovery: Discovery;
  readonly peerId: string;
  readonly multiaddr: string;
}

/** Two ends of a discovery that advertises. */
export interface AdvertiserFixture extends AsyncDisposable {
  /** Of the node that tells where it is. */
  readonly advertiser: Discovery;
  /** Of the node that looks for it. */
  readonly reader: Discovery;
  /** An address as this discovery can pass it on, without `/p2p/…`; each number gives another one. */
  address(number: number): string;
  /** The time that is allowed for news to arrive, in milliseconds. */
  readonly withinMs: number;
  /**
   * Lets so much time pass, for the reader only, that an advertiser which fell silent is forgotten. Absent where the
   * test of the mechanism itself has to show it.
   */
  outlive?(): Promise<void>;
}

/** A node that the test moves about. */
export interface MovableSelf extends SelfDescription {
  move(multiaddrs: readonly string[]): void;
}

/** The peer that is advertised. */
export const ADVERTISED = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

/** A node at `multiaddrs`, each without its `/p2p/…`. */
export function selfAt(multiaddrs: readonly string[], peerId: string = ADVERTISED): MovableSelf {
  const listeners = new Set<() => void>();
  let now = multiaddrs;
  return {
    peerId,
    multiaddrs: () => now.map((address) => `${address}/p2p/${peerId}`),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    sign: () => Promise.reject(new Error("this mechanism signs nothing")),
    move(next) {
      now = next;
      for (const listener of listeners) listener();
    },
  };
}

/** Asks again and again until `fits`. @throws if that takes longer than `withinMs` */
export async function untilFound(
  discovery: Discovery,
  fits: (hints: readonly PeerHint[]) => boolean,
  withinMs: number,
): Promise<readonly PeerHint[]> {
  const limit = AbortSignal.timeout(withinMs);
  for (;;) {
    const hints = await discovery.find(ADVERTISED, limit);
    if (fits(hints)) return hints;
    limit.throwIfAborted();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function at(fixture: AdvertiserFixture, number: number): string {
  return `${fixture.address(number)}/p2p/${ADVERTISED}`;
}

/** Runs `body` while the first address of the fixture is advertised. */
async function advertised(
  fixture: AdvertiserFixture,
  body: (self: MovableSelf) => Promise<void>,
): Promise<void> {
  const self = selfAt([fixture.address(1)]);
  await openNursery(async (nursery) => {
    nursery.startSoon(async () => fixture.advertiser.advertise?.(self));
    await body(self);
    nursery.cancel("the test is over");
  });
}

/** Runs the suite of those that advertise. */
export function advertiserConformance(name: string, open: () => Promise<AdvertiserFixture>): void {
  describe(`${name} as an advertiser`, () => {
    it("is found while it advertises, and no longer when that was cancelled", async () => {
      await using fixture = await open();
      const { reader, withinMs } = fixture;
      await advertised(fixture, async () => {
        const [hint] = await untilFound(reader, (hints) => hints.length > 0, withinMs);
        assert.deepEqual(hint, { peerId: ADVERTISED, multiaddrs: [at(fixture, 1)], method: reader.name });
      });
      assert.deepEqual(await untilFound(reader, (hints) => hints.length === 0, withinMs), []);
    });

    it("tells where the node has moved to, and takes it back while it is nowhere", async () => {
      await using fixture = await open();
      const { reader, withinMs } = fixture;
      await advertised(fixture, async (self) => {
        await untilFound(reader, (hints) => hints[0]?.multiaddrs[0] === at(fixture, 1), withinMs);
        self.move([fixture.address(2)]);
        await untilFound(reader, (hints) => hints[0]?.multiaddrs[0] === at(fixture, 2), withinMs);
        self.move([]);
        await untilFound(reader, (hints) => hints.length === 0, withinMs);
      });
    });

    it("does not find itself", async () => {
      await using fixture = await open();
      await advertised(fixture, async () => {
        await untilFound(fixture.reader, (hints) => hints.length > 0, fixture.withinMs);
        assert.deepEqual(await fixture.advertiser.find(undefined, new AbortController().signal), []);
      });
    });

    it("is forgotten when it falls silent", async (t) => {
      await using fixture = await open();
      const { reader, withinMs } = fixture;
      if (!fixture.outlive) return t.skip("shown by the mechanism's own tests");
      await advertised(fixture, async () => {
        await untilFound(reader, (hints) => hints.length > 0, withinMs);
        await fixture.outlive?.();
        assert.deepEqual(await reader.find(ADVERTISED, new AbortController().signal), []);
      });
    });
  });
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
