/** A rendezvous node as strangers, members and old peers meet it, message by message. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { publicKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { writer } from "protons-runtime";
import { type Authority, createAuthority } from "../../src/authority/authority.ts";
import {
  decodeMessage,
  encodeMessage,
  encodePeerInfo,
  RENDEZVOUS_PROTOCOL,
  type RendezvousMessage,
} from "../../src/discovery/rendezvous/codec.ts";
import { MessageStream } from "../../src/discovery/rendezvous/message-stream.ts";
import { openRecord, signRecord } from "../../src/discovery/rendezvous/record.ts";
import { rendezvous, type RendezvousOptions } from "../../src/discovery/rendezvous/rendezvous.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { newIdentity, type P2pHostOptions } from "../../src/p2p/index.ts";
import type { Libp2pNode } from "../../src/p2p/libp2p-node.ts";
import { startLibp2p } from "../../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/limits.ts";
import { openSites, type Site, type Sites } from "./sites.ts";

const LIMIT = { timeout: 30_000 };
const ADDRESS = multiaddr("/ip4/192.0.2.7/tcp/4001");
const NOTHING: Uint8Array = new Uint8Array(0);

/** A bare libp2p node that says what it likes. */
interface Raw extends AsyncDisposable {
  readonly node: Libp2pNode;
  readonly key: PrivateKey;
  ask(point: Site, message: RendezvousMessage | Uint8Array): Promise<RendezvousMessage | undefined>;
}

async function openRaw(owner: NurseryHost, agent?: string): Promise<Raw> {
  const key = await newIdentity();
  const node = await startLibp2p({ privateKey: key, listen: [], announce: [], limits: DEFAULT_P2P_LIMITS });
  if (agent !== undefined) await callItself(node, agent);
  return {
    node,
    key,
    ask: (point, message) =>
      owner.nursery.run(async () => {
        const stream = await node.dialProtocol(multiaddr(point.address), RENDEZVOUS_PROTOCOL);
        const messages = new MessageStream(stream, 1024 * 1024);
        await messages.write(message instanceof Uint8Array ? message : encodeMessage(message));
        const answer = await messages.read();
        messages.close();
        return answer && decodeMessage(answer);
      }),
    [Symbol.asyncDispose]: async () => node.stop(),
  };
}

/** Answers identify with another name of the software. */
async function callItself(node: Libp2pNode, agent: string): Promise<void> {
  await node.unhandle("/ipfs/id/1.0.0");
  await node.handle("/ipfs/id/1.0.0", (stream) => {
    const { publicKey } = node.peerId;
    if (!publicKey) throw new TypeError("no public key");
    // Fields 1 and 6 of the specification of identify, of wire type 2: the key, and the name.
    const fields = writer().uint32(0x0a).bytes(publicKeyToProtobuf(publicKey)).uint32(0x32).string(agent);
    stream.send(writer().bytes(fields.finish()).finish());
    void stream.close();
  });
}

/** A record of the node with `key`. */
async function recordOf(key: PrivateKey, node: Libp2pNode): Promise<Uint8Array> {
  const sign = async (bytes: Uint8Array): Promise<Uint8Array> => key.sign(bytes);
  const { publicKey } = key;
  return signRecord({ peerId: node.peerId, publicKey, multiaddrs: [ADDRESS], sequence: 1n, sign });
}

async function register(raw: Raw, point: Site, namespace: string, ttlS = 0): Promise<readonly number[]> {
  const record = await recordOf(raw.key, raw.node);
  const answer = await raw.ask(point, { type: "register", namespace, record, ttlS });
  assert.ok(answer?.type === "registered");
  return [answer.status, answer.ttlS];
}

async function discover(raw: Raw, point: Site, namespace: string, cookie = NOTHING, limit = 0) {
  const answer = await raw.ask(point, { type: "discover", namespace, limit, cookie });
  assert.ok(answer?.type === "discovered");
  return answer;
}

/** What py-libp2p registers with. */
function unsignedOf(node: Libp2pNode): Uint8Array {
  return encodePeerInfo({ id: node.peerId.toMultihash().bytes, addresses: [ADDRESS.bytes] });
}

/** Runs `body` with a rendezvous node. */
async function withServer(
  options: Partial<RendezvousOptions>,
  hostOptions: Partial<P2pHostOptions>,
  body: (point: Site, open: (agent?: string) => Promise<Raw>, sites: Sites) => Promise<void>,
): Promise<void> {
  await using sites = openSites();
  await using owner = openHost();
  await using raws = new AsyncDisposableStack();
  const server = rendezvous({ points: [], namespace: "own", server: true, unsigned: false, ...options });
  const point = await sites.open(server, hostOptions);
  await body(point, async (agent) => raws.use(await openRaw(owner, agent)), sites);
}

describe("a rendezvous node", () => {
  it("refuses what the specification forbids, with its status", LIMIT, async () => {
    await withServer({}, {}, async (point, open) => {
      const [peer, other] = [await open(), await open()];
      assert.deepEqual(await register(peer, point, "ns"), [0, 7200]);
      assert.deepEqual(await register(peer, point, "ns", 72 * 3600), [0, 72 * 3600]);
      assert.deepEqual(await register(peer, point, "ns", 72 * 3600 + 1), [102, 0]);
      assert.deepEqual(await register(peer, point, ""), [100, 0]);
      assert.deepEqual(await register(peer, point, "n".repeat(256)), [100, 0]);
      const foreign = await recordOf(other.key, other.node);
      const asked = { type: "register", namespace: "ns", ttlS: 0 } as const;
      const statusOf = async (record: Uint8Array): Promise<number> => {
        const answer = await peer.ask(point, { ...asked, record });
        return answer?.type === "registered" ? answer.status : -1;
      };
      assert.equal(await statusOf(foreign), 200, "a record of somebody else");
      const forged = Buffer.from(await recordOf(peer.key, peer.node));
      forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
      assert.equal(await statusOf(forged), 101, "a wrong signature");
      assert.equal(await statusOf(new Uint8Array(9000)), 101, "a record that is too long");
      assert.equal((await discover(peer, point, "ns", Buffer.from("nonsense"))).status, 103);
      assert.equal((await discover(peer, point, "")).status, 100);
    });
  });

  it("gives pages by cookie, and after the last one only what is new", LIMIT, async () => {
    await withServer({}, {}, async (point, open) => {
      const peers = [await open(), await open(), await open()];
      const [reader] = peers;
      assert.ok(reader);
      for (const peer of peers) await register(peer, point, "ns");
      const first = await discover(reader, point, "ns", NOTHING, 2);
      const second = await discover(reader, point, "ns", first.cookie, 2);
      const third = await discover(reader, point, "ns", second.cookie, 2);
      assert.deepEqual(
        [first, second, third].map(({ registrations }) => registrations.length),
        [2, 1, 0],
      );
      const late = await open();
      await register(late, point, "ns");
      const [news, ...more] = (await discover(reader, point, "ns", third.cookie)).registrations;
      assert.ok(news);
      assert.equal(more.length, 0);
      assert.ok((await openRecord(news.record, false)).peerId.equals(late.node.peerId));
      assert.equal((await discover(reader, point, "other", third.cookie)).status, 103);
    });
  });

  it("keeps little of strangers, and makes room for members among them", LIMIT, async () => {
    const limits = {
      strangerPerPeer: 2,
      strangersPerNamespace: 2,
      maxPerNamespace: 3,
      strangerTtlMs: 60_000,
    };
    const members: string[] = [];
    const real = createAuthority();
    const authority: Authority = {
      require: (caller, grant) => real.require(caller, grant),
      grantsOf: (caller) => {
        const member = caller.kind === "peer" && members.includes(caller.peerId);
        return real.grantsOf(member ? { ...caller, provedToken: true } : caller);
      },
    };
    await withServer({ limits }, { trustLoopback: false, authority }, async (point, open) => {
      const [a, b, c] = [await open(), await open(), await open()];
      assert.deepEqual(await register(a, point, "one"), [0, 60], "a short time");
      assert.deepEqual(await register(a, point, "two"), [0, 60]);
      assert.deepEqual(await register(a, point, "three"), [400, 0], "one namespace too many");
      assert.deepEqual(await register(b, point, "one"), [0, 60]);
      assert.deepEqual(await register(c, point, "one"), [400, 0], "one stranger too many");
      for (const status of [0, 0]) {
        const member = await open();
        members.push(member.node.peerId.toString());
        assert.deepEqual(await register(member, point, "one"), [status, 7200]);
      }
      assert.equal((await discover(a, point, "one")).registrations.length, 3, "one stranger had to go");
    });
  });

  it("answers a stranger's flood with busy, and goes on serving others", LIMIT, async () => {
    const limits = { strangerBurst: 3, strangerPerSecond: 0.001 };
    await withServer({ limits }, { trustLoopback: false }, async (point, open) => {
      const [flooding, calm] = [await open(), await open()];
      const statuses: number[] = [];
      for (let i = 0; i < 5; i++) statuses.push((await discover(flooding, point, "ns")).status);
      assert.deepEqual(statuses, [0, 0, 0, 400, 400]);
      assert.equal((await discover(calm, point, "ns")).status, 0);
    });
  });

  it("ends a stream with garbage or too much on it, and only that", LIMIT, async () => {
    await withServer({}, {}, async (point, open) => {
      const peer = await open();
      await assert.rejects(peer.ask(point, Buffer.from([0xff, 0xff, 0xff])), { code: "E_CONNECTION_LOST" });
      await assert.rejects(peer.ask(point, new Uint8Array(20_000)), { code: "E_CONNECTION_LOST" });
      await assert.rejects(peer.ask(point, { type: "registered", status: 0, statusText: "", ttlS: 0 }), {
        code: "E_CONNECTION_LOST",
      });
      assert.equal((await discover(peer, point, "ns")).status, 0);
    });
  });

  it("takes unsigned records only where that is allowed, and only about the peer itself", LIMIT, async () => {
    const asked = { type: "register", namespace: "ns", ttlS: 60 } as const;
    for (const unsigned of [false, true]) {
      await withServer({ unsigned }, {}, async (point, open) => {
        const [old, other] = [await open(), await open()];
        await register(other, point, "ns");
        const own = await old.ask(point, { ...asked, record: unsignedOf(old.node) });
        const foreign = await old.ask(point, { ...asked, record: unsignedOf(other.node) });
        assert.ok(own?.type === "registered" && foreign?.type === "registered");
        assert.deepEqual([own.status, foreign.status], unsigned ? [0, 200] : [101, 101]);
        if (!unsigned) return;
        const found = (await discover(old, point, "ns")).registrations;
        const records = await Promise.all(found.map(({ record }) => openRecord(record, true)));
        assert.deepEqual(
          records.map(({ signed, peerId }) => [signed, peerId.toString()]),
          [other, old].map(({ node }) => [false, node.peerId.toString()]),
          "an old peer gets all records in its own format",
        );
      });
    }
  });
});

describe("a rendezvous node that deals with unsigned records", () => {
  it("gives a py-libp2p that only asks what it can read, and others what is signed", LIMIT, async () => {
    await withServer({ unsigned: true }, {}, async (point, open) => {
      await register(await open(), point, "ns");
      const signedFor = async (agent: string): Promise<boolean | undefined> => {
        const [found] = (await discover(await open(agent), point, "ns")).registrations;
        return found && (await openRecord(found.record, true)).signed;
      };

      assert.equal(await signedFor("py-libp2p/0.7.0"), false);
      assert.equal(await signedFor("go-libp2p/0.51.0"), true);
    });
  });
});

describe("rendezvous messages", () => {
  it("take what proto3 leaves out as zero", () => {
    const bytes = encodeMessage({ type: "register", namespace: "n", record: Buffer.from("r"), ttlS: 5 });
    // Without the first field, the type.
    const message = decodeMessage(bytes.subarray(2));
    assert.deepEqual(
      { ...message, record: undefined },
      {
        type: "register",
        namespace: "n",
        ttlS: 5,
        record: undefined,
      },
    );
    // A discover response (4) whose body has no status.
    const empty = decodeMessage(Uint8Array.from([0x08, 4, 0x32, 0]));
    assert.ok(empty.type === "discovered");
    assert.deepEqual([empty.status, empty.registrations], [0, []]);
  });

  it("are refused if damaged, of no type, or with fields without number", () => {
    const many = Buffer.concat(Array.from({ length: 3000 }, () => Buffer.from([0x18, 1])));
    for (const bytes of [Uint8Array.from([0x08, 9]), Uint8Array.from([0x12, 200, 1]), many])
      assert.throws(() => decodeMessage(bytes), { code: "E_PROTOCOL" });
  });
});
