import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rendezvous, type RendezvousOptions } from "../../src/discovery/rendezvous/rendezvous.ts";
import { type Mechanism, newIdentity } from "../../src/p2p/index.ts";
import { discoveryConformance } from "./conformance.ts";
import { eventually, idsFoundBy, openSites, type Site } from "./sites.ts";

const LIMIT = { timeout: 30_000 };

function mechanism(options: Partial<RendezvousOptions>): Mechanism {
  return rendezvous({ points: [], namespace: "test", server: false, unsigned: false, ...options });
}

const server = (options: Partial<RendezvousOptions> = {}): Mechanism =>
  mechanism({ server: true, namespace: "the server's own", ...options });
const client = (point: Site, options: Partial<RendezvousOptions> = {}): Mechanism =>
  mechanism({ points: [point.address], ...options });

/** Waits until `site` finds exactly `peers`. */
async function finds(site: Site, peers: readonly Site[]): Promise<void> {
  const wanted = peers.map(({ host }) => host.peerId).toSorted();
  await eventually(
    () => idsFoundBy(site.discovery),
    (found) => found.join() === wanted.join(),
  );
}

discoveryConformance("rendezvous", async () => {
  const sites = openSites();
  const point = await sites.open(server());
  const found = await sites.open(client(point));
  const finder = await sites.open(client(point), { listen: [] });
  await finds(finder, [found]);
  return {
    discovery: finder.discovery,
    peerId: found.host.peerId,
    multiaddr: found.address,
    [Symbol.asyncDispose]: () => sites[Symbol.asyncDispose](),
  };
});

describe("a rendezvous node", () => {
  it("lets those of a namespace find each other, and nobody of another one", LIMIT, async () => {
    await using sites = openSites();
    const point = await sites.open(server());
    const [a, b] = [await sites.open(client(point)), await sites.open(client(point))];
    const other = await sites.open(client(point, { namespace: "other" }));
    await finds(a, [b]);
    await finds(b, [a]);
    await finds(other, []);
  });

  it("that is in a namespace itself finds the others, and is found", LIMIT, async () => {
    await using sites = openSites();
    const point = await sites.open(server({ namespace: "test" }));
    const a = await sites.open(client(point));
    await finds(a, [point]);
    await finds(point, [a]);
  });

  it("forgets at once who takes leave", LIMIT, async () => {
    await using sites = openSites();
    const point = await sites.open(server());
    const leaving = await sites.open(client(point));
    const staying = await sites.open(client(point));
    await finds(staying, [leaving]);
    await leaving.host.close();
    const late = await sites.open(client(point));
    await finds(late, [staying]);
  });

  it("that ended and began anew is told of everybody again, and old cookies hide nobody", LIMIT, async () => {
    await using sites = openSites();
    const privateKey = await newIdentity();
    const first = await sites.open(server(), { privateKey });
    const port = /tcp\/(\d+)/.exec(first.address)?.[1] ?? "";
    const [a, b] = [await sites.open(client(first)), await sites.open(client(first))];
    await finds(a, [b]);
    await first.host.close();
    assert.deepEqual(await idsFoundBy(a.discovery), [b.host.peerId], "what was found is still known");

    const second = await sites.open(server(), { privateKey, listen: [`/ip4/127.0.0.1/tcp/${port}`] });
    const c = await sites.open(client(second));
    await finds(c, [a, b]);
    await finds(a, [b, c]);
  });
});
