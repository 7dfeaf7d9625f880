import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { newNonce, proofOf } from "../../src/peer/token.ts";
import { addressOf, echo, hello, until, withHosts } from "./hosts.ts";
import { rawPeer, type RawStream } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };
const sharedToken = "a token that is long enough to be one";
const otherToken = "another token that is long enough as well";

const nonceOf = (answer: Record<string, unknown>): string => {
  const found = /"nonce":"([^"]+)"/.exec(JSON.stringify(answer));
  return found?.[1] ?? "";
};

describe("a shared token", LIMIT, () => {
  it("opens a node to peers that know it, on all streams of the connection, both ways", () =>
    withHosts(async (open) => {
      const a = await open({ sharedToken, trustLoopback: false });
      const b = await open({ sharedToken, trustLoopback: false });

      assert.deepEqual(await a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 }), { value: 1 });
      assert.deepEqual(await b.rpc.call({ peerId: a.peerId }, echo, { value: 2 }), { value: 2 });
      assert.equal(b.stats().connections, 1);
    }));

  it("is of no use if it is another one, or if only one side has it", () =>
    withHosts(async (open) => {
      const b = await open({ sharedToken, trustLoopback: false });
      const target = { multiaddr: addressOf(b) };
      for (const options of [{ sharedToken: otherToken }, {}]) {
        const a = await open(options);
        await assert.rejects(a.rpc.call(target, echo, { value: 1 }), { code: "E_DENIED" });
        assert.deepEqual(await a.rpc.call(target, hello, { value: 2 }), { value: 2 });
      }
      const plain = await open({ trustLoopback: false });
      const c = await open({ sharedToken });
      assert.deepEqual(await c.rpc.call({ multiaddr: addressOf(plain) }, hello, { value: 3 }), { value: 3 });
    }));

  it("is refused if it could be guessed", () =>
    withHosts(async (open) => {
      await assert.rejects(open({ sharedToken: "short" }), {
        code: "E_CONFIG",
        message: /at least 32 characters/,
      });
    }));

  it("must be proven by a peer that nobody asked for by name", () =>
    withHosts(async (open) => {
      const b = await open({ trustLoopback: false });
      const hint = { peerId: b.peerId, multiaddrs: b.multiaddrs(), method: "test" };
      const discoveries = [{ name: "test", find: () => Promise.resolve([hint]) }];
      const a = await open({ sharedToken, trustLoopback: false, discoveries });
      await assert.rejects(a.rpc.call({}, hello, { value: 1 }), { code: "E_PEER_IDENTITY" });
      const trusting = await open({ discoveries });
      assert.deepEqual(await trusting.rpc.call({}, hello, { value: 1 }), { value: 1 });
    }));

  it("ends the connection of a server that takes a proof and gives a wrong one", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const seen: unknown[] = [];
      const address = await raw.serve((peer) => {
        let answered = 0;
        peer.stream.addEventListener("message", () => {
          for (const { id, method, params } of peer.messages.slice(answered)) {
            seen.push(params);
            const nonce = newNonce();
            // Sends the proof back that it was given.
            peer.send({ jsonrpc: "2.0", id, result: method === "mcp++/auth.challenge" ? { nonce } : params });
          }
          answered = peer.messages.length;
        });
      });
      const a = await open({ sharedToken });

      await assert.rejects(a.rpc.call({ multiaddr: address }, hello, { value: "secret" }), {
        code: "E_PEER_IDENTITY",
      });

      await until(() => a.stats().connections === 0);
      assert.equal(JSON.stringify(seen).includes("secret"), false);
      assert.equal(JSON.stringify(seen).includes(sharedToken), false);
    }));
});

describe("proving, byte by byte", LIMIT, () => {
  let lastId = 0;
  const ask = async (stream: RawStream, method: string, params: object): Promise<Record<string, unknown>> => {
    const id = ++lastId;
    stream.send({ jsonrpc: "2.0", id, method: `mcp++/${method}`, params });
    await until(
      () => stream.messages.some((message) => message["id"] === id) || stream.stream.status !== "open",
    );
    return stream.messages.find((message) => message["id"] === id) ?? { error: "closed" };
  };
  it("works once for each challenge and connection; a proof sent again proves nothing", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open({ sharedToken, trustLoopback: false, limits: { maxProofs: 100 } });
      const stream = await raw.open(addressOf(host));
      const clientNonce = newNonce();
      const serverNonce = nonceOf(await ask(stream, "auth.challenge", { nonce: clientNonce }));
      const clientPeerId = raw.node.peerId.toString();
      const context = { clientPeerId, serverPeerId: host.peerId, clientNonce, serverNonce };
      const proof = proofOf(sharedToken, "client", context);
      const asServer = proofOf(sharedToken, "server", context);

      assert.deepEqual((await ask(stream, "auth.prove", { proof }))["result"], { proof: asServer });
      assert.ok("error" in (await ask(stream, "auth.prove", { proof })));
      assert.ok("result" in (await ask(stream, "test.echo", { value: 1 })));

      await using other = await rawPeer();
      const second = await other.open(addressOf(host));
      await ask(second, "auth.challenge", { nonce: clientNonce });
      assert.ok("error" in (await ask(second, "auth.prove", { proof })));
      assert.ok("error" in (await ask(second, "test.echo", { value: 1 })));
    }));

  it("may be tried only a few times in one connection", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open({ sharedToken, trustLoopback: false });
      const stream = await raw.open(addressOf(host));
      for (let attempt = 1; attempt <= 3; attempt++) {
        await ask(stream, "auth.challenge", { nonce: newNonce() });
        await ask(stream, "auth.prove", { proof: newNonce() });
      }
      await stream.closed;
      await until(() => host.stats().connections === 0);
    }));
});
