import assert from "node:assert/strict";
import { once as event } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { createAuthority } from "../../src/authority/authority.ts";
import { hasCode } from "../../src/errors.ts";
import { cancelScope, sleepForever, suspend } from "../../src/nursery/index.ts";
import { newIdentity, peerIdOf } from "../../src/p2p/index.ts";
import type { CallContext } from "../../src/peer/rpc.ts";
import { addressOf, echo, hello, once, plainMethods, served, text, until, withHosts } from "./hosts.ts";

const LIMIT = { timeout: 60_000 };

/** A method whose handler waits for its signal and tells when it came. */
const waiting = (): {
  readonly method: ReturnType<typeof served>;
  readonly aborted: Promise<void>;
  begun: boolean;
} => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const state = {
    begun: false,
    aborted: promise,
    method: served(echo, (_: unknown, { signal }: CallContext) => {
      state.begun = true;
      signal.addEventListener("abort", () => resolve());
      return suspend<{ readonly value: unknown }>((_resume, fail) => fail);
    }),
  };
  return state;
};

describe("calls between hosts", LIMIT, () => {
  it("go both ways over one connection", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];

      assert.deepEqual(await a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: "→" }), { value: "→" });
      assert.deepEqual(await b.rpc.call({ peerId: a.peerId }, echo, { value: "←" }), { value: "←" });

      assert.equal(a.stats().connections, 1);
    }));

  it("keep their answers apart when 500 are under way", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const target = { multiaddr: addressOf(b) };

      const values = Array.from({ length: 500 }, (_, value) => value);
      const answers = await Promise.all(values.map((value) => a.rpc.call(target, echo, { value })));

      assert.deepEqual(
        answers.map(({ value }) => value),
        values,
      );
      assert.equal(a.stats().links, 1);
      assert.equal(b.stats().inboundStreams, 1);
    }));

  it("wait their turn beyond the limit, and are refused beyond the queue", () =>
    withHosts(async (open) => {
      const { promise: gate, resolve: release } = Promise.withResolvers<void>();
      const b = await open({ methods: [served(echo, (input) => gate.then(() => input))] });
      const a = await open({ limits: { maxInFlight: 2, maxWaiting: 3 } });
      const { peerId } = { peerId: await a.resolve({ multiaddr: addressOf(b) }) };

      const calls = Array.from({ length: 5 }, (_, value) => a.rpc.call({ peerId }, echo, { value }));
      await until(() => b.stats().serving === 2);
      await assert.rejects(a.rpc.call({ peerId }, echo, { value: 6 }), { code: "E_BUSY" });
      release();

      assert.deepEqual(
        (await Promise.all(calls)).map(({ value }) => value),
        [0, 1, 2, 3, 4],
      );
    }));

  it("are answered E_BUSY when one connection has too many under way", () =>
    withHosts(async (open) => {
      const b = await open({ methods: [served(echo, () => sleepForever())], limits: { maxServing: 3 } });
      const a = await open();
      const peerId = await a.resolve({ multiaddr: addressOf(b) });
      const calls = Array.from({ length: 3 }, () =>
        a.rpc.call({ peerId }, echo, { value: 1 }, { timeoutMs: 10_000 }),
      );
      const settled = Promise.allSettled(calls);
      await until(() => b.stats().serving === 3);

      await assert.rejects(a.rpc.call({ peerId }, echo, { value: 4 }), {
        code: "E_BUSY",
        name: "RemoteError",
      });

      await b.close();
      assert.ok((await settled).every(({ status }) => status === "rejected"));
    }));

  it("end with the handler's own error code, and with one that says the method is not there", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const target = { multiaddr: addressOf(b) };

      await assert.rejects(a.rpc.call(target, { ...echo, name: "no.such" }, { value: 1 }), {
        code: "E_METHOD_NOT_FOUND",
      });
      const bare = { ...echo, name: "test.bare", output: echo.output };
      const c = await open({
        methods: [served(bare, () => Promise.reject(new RangeError("broken inside")))],
      });
      await assert.rejects(a.rpc.call({ multiaddr: addressOf(c) }, bare, { value: 1 }), {
        code: "E_INTERNAL",
        message: "broken inside",
      });
    }));

  it("carry a message of many megabytes and refuse one that fits into no frame", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const target = { multiaddr: addressOf(b) };

      const big = text(12 * 1024 * 1024);
      assert.equal((await a.rpc.call(target, echo, { value: big })).value, big);

      await assert.rejects(a.rpc.call(target, echo, { value: text(16 * 1024 * 1024) }), {
        code: "E_MESSAGE_TOO_LARGE",
      });
      assert.equal((await a.rpc.call(target, echo, { value: 1 })).value, 1);
    }));

  it("tell the caller when the answer is larger than a frame", () =>
    withHosts(async (open) => {
      const value = text(16 * 1024 * 1024);
      const b = await open({ methods: [served(echo, () => Promise.resolve({ value }))] });
      const a = await open();

      const call = a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 });

      await assert.rejects(call, { code: "E_MESSAGE_TOO_LARGE" });
    }));
});

describe("giving up", LIMIT, () => {
  it("aborts the handler's signal when the caller's signal aborts", () =>
    withHosts(async (open) => {
      const handler = waiting();
      const [a, b] = [await open(), await open({ methods: [handler.method] })];
      const controller = new AbortController();
      const call = a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 }, { signal: controller.signal });
      await until(() => handler.begun);

      controller.abort(new Error("changed my mind"));

      await assert.rejects(call, /changed my mind/);
      await handler.aborted;
      await until(() => b.stats().serving === 0);
    }));

  it("aborts the handler's signal when the scope around the call is cancelled", () =>
    withHosts(async (open) => {
      const handler = waiting();
      const [a, b] = [await open(), await open({ methods: [handler.method] })];
      const peerId = await a.resolve({ multiaddr: addressOf(b) });

      const outcome = await cancelScope(async (scope) => {
        const call = a.rpc.call({ peerId }, echo, { value: 1 });
        await until(() => handler.begun);
        scope.cancel("enough");
        return call;
      });

      assert.equal(outcome.ok, false);
      await handler.aborted;
    }));

  it("happens at the deadline, and the handler learns of it", () =>
    withHosts(async (open) => {
      const handler = waiting();
      const [a, b] = [await open(), await open({ methods: [handler.method] })];

      const call = a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 }, { timeoutMs: 1500 });

      await assert.rejects(call, { code: "E_PEER_TIMEOUT", message: /within 1500 ms/ });
      await handler.aborted;
    }));

  it("happens at the host's own limit, whatever the caller wants", () =>
    withHosts(async (open) => {
      const handler = waiting();
      const [a, b] = [await open(), await open({ methods: [handler.method], limits: { maxCallMs: 100 } })];

      const call = a.rpc.call({ multiaddr: addressOf(b) }, echo, { value: 1 });

      await assert.rejects(call, { code: "E_TIMEOUT" });
      await handler.aborted;
    }));

  it("drops and counts an answer that comes too late", () =>
    withHosts(async (open) => {
      const { promise: late, resolve: answer } = Promise.withResolvers<void>();
      // Heeds no signal, so it is cancelled and answers nothing; the second call proves that the link still works.
      const b = await open({
        methods: [served(echo, (input) => late.then(() => input)), ...plainMethods.slice(1)],
      });
      const a = await open();
      const target = { multiaddr: addressOf(b) };
      await assert.rejects(a.rpc.call(target, echo, { value: 1 }, { timeoutMs: 300 }), {
        code: "E_PEER_TIMEOUT",
      });

      answer();

      assert.equal((await a.rpc.call(target, once, { value: 2 })).value, 2);
      assert.equal(a.stats().inFlight, 0);
    }));
});

describe("a peer that takes the connection and says nothing", LIMIT, () => {
  it("is given up at the deadline of the call, or when its caller is cancelled", () =>
    withHosts(async (open) => {
      const sockets: Socket[] = [];
      const silent = createServer((socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
      await event(silent, "listening");
      const address = silent.address();
      assert.ok(typeof address === "object" && address !== null);
      const target = { multiaddr: `/ip4/127.0.0.1/tcp/${address.port}` };
      const a = await open();

      await assert.rejects(a.rpc.call(target, echo, { value: 1 }, { timeoutMs: 200 }), {
        code: "E_UNREACHABLE",
      });

      const outcome = await cancelScope(async (scope) => {
        const call = a.rpc.call(target, echo, { value: 1 });
        setImmediate(() => scope.cancel("enough"));
        return call;
      });
      assert.equal(outcome.ok, false);
      const signal = AbortSignal.timeout(50);
      await assert.rejects(a.openChannel(target, { signal }), { name: "TimeoutError" });

      for (const socket of sockets) socket.destroy();
      silent.close();
    }));
});

describe("whom a call reaches", LIMIT, () => {
  it("is never another peer than the one that was named", () =>
    withHosts(async (open) => {
      const [a, b] = [await open(), await open()];
      const other = peerIdOf(await newIdentity());
      const address = addressOf(b).replace(b.peerId, other);

      await assert.rejects(a.rpc.call({ multiaddr: address }, echo, { value: 1 }), {
        code: "E_PEER_IDENTITY",
      });
      const both = { peerId: other, multiaddr: addressOf(b) };
      await assert.rejects(a.rpc.call(both, echo, { value: 1 }), { code: "E_PEER_IDENTITY" });
      const bare = { peerId: other, multiaddr: addressOf(b).replace(/\/p2p\/.*/, "") };
      await assert.rejects(a.rpc.call(bare, echo, { value: 1 }), { code: "E_PEER_IDENTITY" });
    }));

  it("is said to be unreachable, with what was tried", () =>
    withHosts(async (open) => {
      const a = await open();
      const other = peerIdOf(await newIdentity());

      await assert.rejects(a.rpc.call({ peerId: other }, echo, { value: 1 }), { code: "E_UNREACHABLE" });
      const dead = `/ip4/127.0.0.1/tcp/1/p2p/${other}`;
      await assert.rejects(a.rpc.call({ multiaddr: dead }, echo, { value: 1 }), (error: unknown) => {
        assert.ok(hasCode(error, "E_UNREACHABLE"));
        assert.match(String(error), /127\.0\.0\.1\/tcp\/1/);
        return true;
      });
      await assert.rejects(a.rpc.call({ peerId: a.peerId }, echo, { value: 1 }), { code: "E_UNREACHABLE" });
      await assert.rejects(a.rpc.call({ multiaddr: "nonsense" }, echo, { value: 1 }), {
        code: "E_INVALID_INPUT",
      });
    }));

  it("may only ask for status if it is unknown, comes from elsewhere and is on no list", () =>
    withHosts(async (open) => {
      const key = await newIdentity();
      const b = await open({
        trustLoopback: false,
        authority: createAuthority({ allowPeers: [peerIdOf(key)] }),
      });
      const [stranger, friend] = [await open(), await open({ privateKey: key })];
      const target = { multiaddr: addressOf(b) };

      await assert.rejects(stranger.rpc.call(target, echo, { value: 1 }), {
        code: "E_DENIED",
        name: "RemoteError",
      });
      assert.equal((await stranger.rpc.call(target, hello, { value: 2 })).value, 2);
      assert.equal((await friend.rpc.call(target, echo, { value: 3 })).value, 3);
    }));

  it("sends small messages only while it is unknown", () =>
    withHosts(async (open) => {
      const b = await open({ trustLoopback: false });
      const a = await open();

      const call = a.rpc.call(
        { multiaddr: addressOf(b) },
        { ...hello, idempotent: false },
        { value: text(100_000) },
      );

      await assert.rejects(call, { code: "E_CONNECTION_LOST" });
    }));
});
