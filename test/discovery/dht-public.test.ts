import assert from "node:assert/strict";
import { once } from "node:events";
import { registerHooks } from "node:module";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { reader } from "protons-runtime";
import { openHost } from "../../src/nursery/index.ts";
import { newIdentity } from "../../src/p2p/index.ts";
import { startLibp2p } from "../../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/limits.ts";
import { idsFoundBy, openSites } from "./sites.ts";

const NAMESPACE = "ipfs-accelerate-task-queue";
const OLD_KEY = "697066732d616363656c65726174652d7461736b2d7175657565";
const PUBLIC = "/ip4/8.8.8.8/tcp/4001";
const loaded: string[] = [];
registerHooks({
  resolve(specifier, context, next) {
    loaded.push(specifier);
    return next(specifier, context);
  },
});

describe("the DHT", () => {
  it("is not even loaded by a node without it", async () => {
    const { createMechanisms } = await import("../../src/discovery/index.ts");
    const config = { announceFiles: [], bootstrap: [] };
    assert.deepEqual(await createMechanisms(config), []);
    assert.ok(!loaded.includes("@libp2p/kad-dht"));
    const [dht] = await createMechanisms({
      ...config,
      dht: { network: "private", mode: "auto", bootstrap: [], namespace: NAMESPACE },
    });
    assert.equal(dht?.name, "dht");
    assert.ok(loaded.includes("@libp2p/kad-dht"));
  });

  it("knows which addresses are the internet's", async () => {
    const { isPublicAddress } = await import("../../src/p2p/index.ts");
    const local = [
      ..."/ip4/127.0.0.1 /ip4/10.1.2.3 /ip4/192.168.1.5 /ip4/172.31.0.1 /ip4/100.100.1.1 /ip4/169.254.3.4".split(
        " ",
      ),
      ..."/ip6/::1 /ip6/fe80::1 /ip6/fd00::1 /ip6/::ffff:192.168.1.5 /dns4/nas.local /dns/localhost /dns4/router".split(
        " ",
      ),
    ];
    for (const host of local) assert.equal(isPublicAddress(multiaddr(`${host}/tcp/1`)), false, host);
    for (const host of ["/ip4/8.8.8.8", "/ip6/2606:4700::1111", "/dns4/node.example.org"])
      assert.equal(isPublicAddress(multiaddr(`${host}/tcp/1`)), true, host);
  });
});

describe("the public DHT", () => {
  it("is told of public addresses only, under both keys, and gives the providers of the old one", async () => {
    const { dht, PUBLIC_DHT_PROTOCOL } = await import("../../src/discovery/dht/dht.ts");
    const { decodeProviders, encode } = await import("../../src/discovery/dht/old-providers.ts");
    const { MessageStream } = await import("../../src/discovery/rendezvous/message-stream.ts");
    const { keyOf } = await import("../../src/discovery/dht/keys.ts");
    const { peerIdOf } = await import("../../src/p2p/index.ts");
    await using sites = openSites();
    await using owner = openHost();
    // Speaks as a Go or Python node would, which keep any key.
    const listen = `/ip4/127.0.0.1/tcp/${await freePort()}`;
    const privateKey = await newIdentity();
    const server = await startLibp2p({
      privateKey,
      listen: [listen],
      announce: [PUBLIC],
      limits: DEFAULT_P2P_LIMITS,
    });
    const old = await startLibp2p({
      privateKey: await newIdentity(),
      listen: [],
      announce: [],
      limits: DEFAULT_P2P_LIMITS,
    });
    const provider = { peerId: old.peerId, multiaddrs: [multiaddr(PUBLIC)] };
    const provided = new Map<string, string[]>();
    const both = Promise.withResolvers<void>();
    await server.handle(PUBLIC_DHT_PROTOCOL, (stream) => {
      const messages = new MessageStream(stream, 100_000);
      owner.nursery
        .run(async () => {
          for (let bytes = await messages.read(); bytes; bytes = await messages.read()) {
            const { type, key } = headOf(bytes);
            if (type === 2) {
              provided.set(
                key.toString("hex"),
                decodeProviders(bytes).flatMap((one) => one.multiaddrs.map(String)),
              );
              if (provided.size === 2) both.resolve();
            } else {
              const isOld = type === 3 && key.toString("hex") === OLD_KEY;
              await messages.write(encode(type, key, isOld ? provider : undefined));
            }
          }
          messages.close();
        })
        .catch(() => undefined);
    });
    try {
      const address = `${listen}/p2p/${peerIdOf(privateKey)}`;
      const site = await sites.open(
        dht({ network: "public", mode: "auto", namespace: NAMESPACE, bootstrap: [address] }),
        { announce: [PUBLIC, "/ip4/192.168.7.7/tcp/4001", "/ip4/127.0.0.1/tcp/4001"] },
      );
      await both.promise;
      const key = Buffer.from((await keyOf(NAMESPACE)).multihash.bytes).toString("hex");
      assert.deepEqual([...provided.keys()].toSorted(), [key, OLD_KEY].toSorted());
      for (const addresses of provided.values())
        assert.deepEqual(
          addresses.map((text) => text.replace(/\/p2p\/.*/, "")),
          [PUBLIC],
        );
      assert.deepEqual(await idsFoundBy(site.discovery), [old.peerId.toString()]);
    } finally {
      await Promise.all([server.stop(), old.stop()]);
    }
  });
});

/** A port that nobody listens on now: what a node announces hides the port that it was given. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Type and key of a message of the DHT. */
function headOf(bytes: Uint8Array): { readonly type: number; readonly key: Buffer } {
  const input = reader(bytes);
  let type = 0;
  let key = Buffer.alloc(0);
  while (input.pos < input.len) {
    const tag = input.uint32();
    if (tag === 0x08) type = input.uint32();
    else if (tag === 0x12) key = Buffer.from(input.bytes());
    else input.skipType(tag & 7);
  }
  return { type, key };
}
