/** Records in and out, without a network. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { mdns } from "@libp2p/mdns";
import { type Answer, decode, encode, type Packet } from "dns-packet";
import * as z from "zod";
import { dialable } from "../../../src/p2p/address-scope.ts";
import { announcement, asksFor, farewell } from "../../../src/discovery/mdns/answer.ts";
import { Heard } from "../../../src/discovery/mdns/heard.ts";
import { TestClock } from "../../support/clock.ts";

const A = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
const B = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
const SERVICE = "_p2p._udp.local";
const ACCELERATE = "_mcp-accelerate._tcp.local";
const INSTANCE = "x".repeat(63);
const FROM = { address: "10.0.0.7" };

const announced = {
  service: SERVICE,
  instance: INSTANCE,
  peerId: A,
  loopback: false,
  multiaddrs: [
    `/ip4/127.0.0.1/tcp/4001/p2p/${A}`,
    `/ip4/192.168.1.2/tcp/4001/p2p/${A}`,
    `/ip4/10.0.0.7/tcp/4001/p2p/${A}`,
    `/ip4/10.0.0.7/tcp/4002/ws/p2p/${A}`,
    `/ip6/fe80::1/tcp/4001/p2p/${A}`,
    `/ip6/fd00::7/tcp/4001/p2p/${A}`,
    `/ip4/203.0.113.1/tcp/1/p2p/${B}/p2p-circuit/p2p/${A}`,
  ],
};

function heard(clock = new TestClock()): Heard {
  return new Heard({ services: [SERVICE, ACCELERATE], method: "mdns", clock });
}

/** As it is after the wire. */
function sent(packet: Packet | undefined): Packet {
  assert.ok(packet);
  return decode(encode(packet));
}

function response(...answers: readonly Answer[]): Packet {
  return sent({ type: "response", answers: [...answers] });
}

/** What py-libp2p says with python-zeroconf. */
function pythonPacket(name: string, peerId: string, ip = "10.0.0.7", port = 9710): Packet {
  return response(
    { type: "PTR", name: SERVICE, ttl: 4500, data: `${name}.${SERVICE}` },
    { type: "SRV", name: `${name}.${SERVICE}`, ttl: 120, data: { port, target: `${name}.local` } },
    { type: "TXT", name: `${name}.${SERVICE}`, ttl: 4500, data: [`id=${peerId}`] },
    { type: "A", name: `${name}.local`, ttl: 120, data: ip },
  );
}

/** Whether a question for `name`, by somebody who knows `known`, is one for what is announced. */
function ask(name: string, known: readonly Answer[] = []): boolean {
  const query = sent({ type: "query", questions: [{ type: "PTR", name }], answers: [...known] });
  return asksFor(query, announced);
}

describe("the addresses that others can dial", () => {
  const vectors = z
    .object({
      address_filter: z.array(z.object({ address: z.string(), peer_id: z.string(), dialable: z.string() })),
    })
    .parse(JSON.parse(readFileSync(new URL("../../vectors/discovery.json", import.meta.url), "utf8")));
  for (const { address, peer_id, dialable: expected } of vectors.address_filter)
    it(`are as recorded: '${address}'`, () => assert.equal(dialable(address, peer_id) ?? "", expected));

  it("include loopback only for those on this machine, and never another peer's", () => {
    assert.equal(dialable("/ip4/127.0.0.1/tcp/1", A, { loopback: true }), `/ip4/127.0.0.1/tcp/1/p2p/${A}`);
    assert.equal(dialable("/ip4/0.0.0.0/tcp/1", A, { loopback: true }), undefined);
    assert.equal(dialable(`/ip4/10.0.0.1/tcp/1/p2p/${B}`, A), undefined);
    assert.equal(dialable("/ip6/::ffff:127.0.0.1/tcp/1", A), undefined);
  });
});

describe("an announcement", () => {
  it("can be read by libp2p: a pointer, and all addresses that others can dial, each with the peer id", () => {
    const { answers = [] } = sent(announcement(announced, ["10.0.0.7"]));
    const [pointer, txt] = answers;
    assert.ok(pointer?.type === "PTR" && txt?.type === "TXT");
    assert.deepEqual([pointer.name, pointer.data, pointer.ttl], [SERVICE, `${INSTANCE}.${SERVICE}`, 120]);
    assert.deepEqual(Array.isArray(txt.data) ? txt.data.map(String) : [], [
      `id=${A}`,
      `dnsaddr=/ip4/192.168.1.2/tcp/4001/p2p/${A}`,
      `dnsaddr=/ip4/10.0.0.7/tcp/4001/p2p/${A}`,
      `dnsaddr=/ip4/10.0.0.7/tcp/4002/ws/p2p/${A}`,
      `dnsaddr=/ip6/fd00::7/tcp/4001/p2p/${A}`,
    ]);
  });

  it("is understood by @libp2p/mdns", () => {
    const packet = sent(announcement(announced, ["10.0.0.7"]));
    const log = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined });
    const components = { logger: { forComponent: () => log } };
    const other: unknown = Reflect.apply(mdns(), undefined, [components]);
    assert.ok(other instanceof EventTarget);
    let detail: unknown;
    other.addEventListener("peer", (event) => {
      detail = event instanceof CustomEvent ? event.detail : undefined;
    });
    // Its handler of packets, without its socket, which would send beyond this machine.
    const read: unknown = Reflect.get(other, "_onMdnsResponse");
    assert.ok(typeof read === "function");
    Reflect.apply(read, other, [packet]);
    const { id, multiaddrs } = z.object({ id: z.unknown(), multiaddrs: z.array(z.unknown()) }).parse(detail);
    assert.equal(String(id), A);
    assert.deepEqual([String(multiaddrs[0]), multiaddrs.length], ["/ip4/192.168.1.2/tcp/4001", 4]);
  });

  it("can be read by py-libp2p: id, and the port and address of one place where plain TCP is listened on", () => {
    const { answers = [] } = sent(announcement(announced, ["10.0.0.7"]));
    const [, , srv, address] = answers;
    assert.ok(srv?.type === "SRV" && address?.type === "A");
    assert.equal(srv.data.port, 4001);
    assert.deepEqual([address.name, address.data], [srv.data.target, "10.0.0.7"]);
    assert.equal(answers.filter(({ type }) => type === "A").length, 1);
  });

  it("never tells py-libp2p of a port where no plain TCP is listened on", () => {
    const multiaddrs = [`/ip4/10.0.0.7/tcp/4002/ws/p2p/${A}`, `/dns4/a.example/tcp/443/wss/p2p/${A}`];
    const { answers = [] } = sent(announcement({ ...announced, multiaddrs }, []));
    assert.deepEqual(
      answers.map(({ type }) => type),
      ["PTR", "TXT"],
    );
    assert.ok(!JSON.stringify(answers).includes("id="));
  });

  it("has an IPv6 address where there is no other, and is none for a node that only this machine reaches", () => {
    const v6 = { ...announced, multiaddrs: [`/ip6/fd00::7/tcp/4001/p2p/${A}`] };
    assert.equal(sent(announcement(v6, [])).answers?.[3]?.type, "AAAA");
    const local = { ...announced, multiaddrs: [`/ip4/127.0.0.1/tcp/4001/p2p/${A}`] };
    assert.equal(announcement(local, []), undefined);
    assert.notEqual(announcement({ ...local, loopback: true }, []), undefined);
  });

  it("fits one packet, whatever the number of addresses, and keeps the best", () => {
    const multiaddrs = Array.from({ length: 100 }, (_, i) => `/ip4/10.0.1.${i}/tcp/4001/p2p/${A}`);
    const packet = announcement({ ...announced, multiaddrs }, []);
    assert.ok(packet && encode(packet).length <= 1232);
    const found = heard();
    found.take(sent(packet), FROM);
    const [hint] = found.hints(A);
    assert.ok(hint && hint.multiaddrs.length > 5);
    assert.equal(hint.multiaddrs[0], multiaddrs[0]);
  });

  it("answers those that ask for it, and no others", () => {
    const pointer = { type: "PTR", name: SERVICE, data: `${INSTANCE}.${SERVICE}` } as const;
    assert.equal(ask("_P2P._udp.local."), true);
    assert.equal(ask("_services._dns-sd._udp.local"), true);
    assert.equal(ask("_ipp._tcp.local"), false);
    assert.equal(ask(SERVICE, [{ ...pointer, ttl: 100 }]), false);
    assert.equal(ask(SERVICE, [{ ...pointer, ttl: 30 }]), true);
    assert.equal(ask(`${INSTANCE}.${SERVICE}`, [{ ...pointer, ttl: 100 }]), true);
  });
});

describe("what is heard", () => {
  it("of libp2p is where a peer is, in one record or in many", () => {
    const found = heard();
    const name = `abc.${SERVICE}`;
    const texts = [`dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/${A}`, `dnsaddr=/ip6/fd00::1/tcp/1/p2p/${A}`];
    const records = texts.map((data): Answer => ({ type: "TXT", name, ttl: 120, data }));
    found.take(response({ type: "PTR", name: SERVICE, ttl: 120, data: name }, ...records), FROM);
    assert.deepEqual(found.hints(undefined), [
      { peerId: A, multiaddrs: texts.map((text) => text.slice(8)), method: "mdns" },
    ]);
  });

  it("of py-libp2p is the address and port, also when they come one by one", () => {
    const { answers = [] } = pythonPacket("py", A);
    const found = heard();
    for (const [index, answer] of answers.entries()) {
      if (index > 0) assert.deepEqual(found.hints(A), []);
      if (index > 0 && index < 3) assert.equal(found.isMissingParts, true);
      found.take(response(answer), FROM);
    }
    assert.deepEqual(found.hints(A)[0]?.multiaddrs, [`/ip4/10.0.0.7/tcp/9710/p2p/${A}`]);
    assert.equal(found.isMissingParts, false);
  });

  it("of the MCP++ module is read too", () => {
    const found = heard();
    const name = `${A}.${ACCELERATE}`;
    found.take(
      response(
        { type: "PTR", name: ACCELERATE, ttl: 120, data: name },
        { type: "SRV", name, ttl: 120, data: { port: 19001, target: "host.local" } },
        { type: "TXT", name, ttl: 120, data: [`peer_id=${A}`, "protocol=/mcp+p2p/1.0.0"] },
        { type: "A", name: "host.local", ttl: 120, data: "10.0.0.7" },
        { type: "AAAA", name: "host.local", ttl: 120, data: "fd00::7" },
      ),
      FROM,
    );
    assert.deepEqual(found.hints(undefined)[0]?.multiaddrs, [
      `/ip4/10.0.0.7/tcp/19001/p2p/${A}`,
      `/ip6/fd00::7/tcp/19001/p2p/${A}`,
    ]);
  });

  it("is forgotten two minutes after it was said last, however long the sender wants it believed", () => {
    const clock = new TestClock();
    const found = heard(clock);
    found.take(pythonPacket("py", A), FROM);
    clock.jump(119_999);
    found.take(pythonPacket("py", A), FROM);
    clock.jump(119_999);
    assert.equal(found.hints(A).length, 1);
    clock.jump(1);
    assert.deepEqual([found.hints(A), found.size], [[], 0]);
  });

  it("is forgotten at once when its sender takes it back, and only then", () => {
    const found = heard();
    found.take(pythonPacket("py", A), FROM);
    const bye = sent(farewell({ service: SERVICE, instance: "py" }));
    found.take(bye, { address: "10.0.0.8" });
    assert.equal(found.hints(A).length, 1);
    found.take(bye, FROM);
    assert.equal(found.hints(A).length, 0);
  });

  it("cannot be changed by another machine", () => {
    const found = heard();
    found.take(pythonPacket("py", A), FROM);
    found.take(pythonPacket("py", B, "10.0.0.66"), { address: "10.0.0.66" });
    assert.deepEqual(
      found.hints(undefined).map(({ peerId }) => peerId),
      [A],
    );
  });

  it("of loopback counts only if it came over loopback", () => {
    const found = heard();
    found.take(pythonPacket("lan", A, "127.0.0.1"), FROM);
    assert.deepEqual(found.hints(A), []);
    found.take(pythonPacket("lo", A, "127.0.0.1"), { address: "127.0.0.1" });
    assert.deepEqual(found.hints(A)[0]?.multiaddrs, [`/ip4/127.0.0.1/tcp/9710/p2p/${A}`]);
  });

  it("takes bounded memory, and one machine cannot take the place of all others", () => {
    const found = heard();
    for (let i = 0; i < 1000; i++) found.take(pythonPacket(`n${i}`, A), FROM);
    assert.equal(found.size, 64);
    for (let i = 0; i < 1000; i++) found.take(pythonPacket(`m${i}`, A), { address: `10.0.${i}.1` });
    assert.equal(found.size, 512);
    assert.equal(found.hints(A)[0]?.multiaddrs.length, 1);
    const strings = Array.from({ length: 200 }, (_, i) => `dnsaddr=/ip4/10.0.0.1/tcp/${i + 1}/p2p/${A}`);
    const name = `n1.${SERVICE}`;
    found.take(response({ type: "TXT", name, ttl: 120, data: strings }), FROM);
    assert.ok((found.hints(A)[0]?.multiaddrs.length ?? 0) <= 16);
  });

  it("of what never says who it is, is asked about twice and then let be", () => {
    const found = heard();
    found.take(response({ type: "PTR", name: SERVICE, ttl: 120, data: `mute.${SERVICE}` }), FROM);
    assert.equal(found.questions().length, 2);
    assert.equal(found.questions().length, 2);
    assert.deepEqual([found.isMissingParts, found.questions()], [false, []]);
  });

  it("that is nonsense harms nothing", () => {
    const found = heard();
    const name = `n.${SERVICE}`;
    const pointer: Answer = { type: "PTR", name: SERVICE, ttl: 120, data: name };
    const said = [
      ["id=nobody"],
      [`dnsaddr=/ip4/300.1.1.1/tcp/1/p2p/${A}`],
      ["dnsaddr="],
      ["=", "", "id"],
      [`dnsaddr=/ip4/0.0.0.0/tcp/1/p2p/${A}`],
      [`dnsaddr=/ip4/10.0.0.1/tcp/1/p2p/not-an-id`],
    ];
    for (const data of said) {
      found.take(response(pointer, { type: "TXT", name, ttl: 120, data }), FROM);
      assert.deepEqual(found.hints(undefined), []);
    }
    found.take(response(pointer, { type: "SRV", name, ttl: 120, data: { port: 0, target: "h" } }), FROM);
    assert.deepEqual(found.hints(undefined), []);
  });
});
