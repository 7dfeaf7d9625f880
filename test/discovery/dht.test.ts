import { describe, it } from "node:test";
import { dht, type DhtOptions } from "../../src/discovery/dht/dht.ts";
import type { Mechanism } from "../../src/p2p/index.ts";
import { discoveryConformance } from "./conformance.ts";
import { eventually, idsFoundBy, openSites, type Site } from "./sites.ts";

const LIMIT = { timeout: 60_000 };

function node(bootstrap: readonly Site[], options: Partial<DhtOptions> = {}): Mechanism {
  const addresses = bootstrap.map(({ address }) => address);
  return dht({ network: "private", mode: "auto", namespace: "test", bootstrap: addresses, ...options });
}

/** Waits until `site` finds exactly `peers`. */
async function finds(site: Site, peers: readonly Site[]): Promise<void> {
  const wanted = peers.map(({ host }) => host.peerId).toSorted();
  await eventually(
    () => idsFoundBy(site.discovery),
    (found) => found.join() === wanted.join(),
  );
}

discoveryConformance("the DHT", async () => {
  const sites = openSites();
  const entry = await sites.open(node([], { namespace: "nobody's" }));
  const found = await sites.open(node([entry]));
  const finder = await sites.open(node([entry]), { listen: [] });
  await finds(finder, [found]);
  return {
    discovery: finder.discovery,
    peerId: found.host.peerId,
    multiaddr: found.address,
    [Symbol.asyncDispose]: () => sites[Symbol.asyncDispose](),
  };
});

describe("the DHT", () => {
  it("lets those of a namespace find each other, and nobody of another one", LIMIT, async () => {
    await using sites = openSites();
    const entry = await sites.open(node([]));
    const a = await sites.open(node([entry]));
    const b = await sites.open(node([entry]));
    const other = await sites.open(node([entry], { namespace: "other" }));
    await finds(a, [entry, b]);
    await finds(entry, [a, b]);
    await finds(other, []);
  });
});
