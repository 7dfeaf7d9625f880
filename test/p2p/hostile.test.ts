import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import { sleepForever } from "../../src/nursery/index.ts";
import { addressOf, echo, hello, once, plainMethods, served, text, until, withHosts } from "./hosts.ts";
import { frames, rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };
const call = (id: unknown, name = echo.name, value: unknown = 1): object => {
  return { jsonrpc: "2.0", id, method: `mcp++/${name}`, params: { value } };
};

describe("a hostile caller", LIMIT, () => {
  const broken: readonly (readonly [string, Buffer])[] = [
    ["a length of 0x7fffffff", Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ["a frame that is no JSON", Buffer.from([0, 0, 0, 3, 0x61, 0x62, 0x63])],
    ["an empty frame", Buffer.from([0, 0, 0, 0])],
    ["a batch", Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from("[]")])],
  ];
  for (const [what, bytes] of broken) {
    it(`loses its stream, and nothing else, with ${what}`, () =>
      withHosts(async (open) => {
        await using raw = await rawPeer();
        const host = await open();
        const stream = await raw.open(addressOf(host));
        stream.stream.send(bytes);
        await stream.closed;
        assert.equal(stream.stream.status, "reset");
        assert.equal(stream.messages.length, 0);

        const second = await raw.open(addressOf(host));
        second.send(call(1));
        await until(() => second.messages.length === 1);
        assert.deepEqual(second.messages, [{ jsonrpc: "2.0", id: 1, result: { value: 1 } }]);
      }));
  }

  it("loses its stream when it ends inside a frame", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const stream = await raw.open(addressOf(await open()));
      stream.stream.send(frames(call(1)).subarray(0, 20));
      await stream.stream.close();
      await stream.closed;
      assert.equal(stream.stream.status, "reset");
    }));

  it("gets its answers when it only ends its own half", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const stream = await raw.open(addressOf(await open()));
      stream.send(call("a"), call("b"));
      await stream.stream.close();
      await stream.closed;
      assert.deepEqual(
        stream.messages.map(({ id }) => id),
        ["a", "b"],
      );
    }));

  it("is understood in chunks of one byte", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const stream = await raw.open(addressOf(await open()));
      for (const byte of frames(call(7))) stream.stream.send(Uint8Array.of(byte));
      await until(() => stream.messages.length === 1);
      assert.deepEqual(stream.messages[0]?.["id"], 7);
    }));

  it("cannot use an id twice at a time, cancel what is not there, or answer what was not asked", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open({ methods: [served(echo, () => sleepForever()), ...plainMethods.slice(1)] });
      const stream = await raw.open(addressOf(host));
      stream.send(
        call(1),
        call(1),
        { jsonrpc: "2.0", id: "rpc:1", result: { forged: true } },
        { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: "rpc:99" } },
        { jsonrpc: "2.0", method: "mcp++/test.echo", params: { value: 1 } },
        call(2, once.name),
      );
      await until(() => stream.messages.length === 2);
      assert.equal(host.stats().serving, 1);
      assert.deepEqual(
        stream.messages.map(({ id, error }) => [id, error !== undefined]),
        [
          [1, true],
          [2, false],
        ],
      );
    }));

  it("does not fill memory by not reading: it is not read from either, and its answers are bounded", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const limits = { highWaterBytes: 256 * 1024, maxUnsentBytes: 8 * 1024 * 1024 };
      const host = await open({ limits });
      const stream = await raw.open(addressOf(host));
      stream.stream.pause();
      const body = text(100_000);
      for (let id = 0; id < 400; id++) stream.send(call(id, once.name, body));
      await until(() => host.stats().unsentBytes > limits.highWaterBytes);
      for (let turn = 0; turn < 200; turn++) await new Promise<void>((resolve) => setImmediate(resolve));

      assert.ok(host.stats().peakUnsentBytes < limits.maxUnsentBytes, `${host.stats().peakUnsentBytes}`);

      stream.stream.resume();
      await until(() => stream.messages.length === 400);
      assert.equal(new Set(stream.messages.map(({ id }) => id)).size, 400);
    }));

  it("that may only ask for status is cut off when it asks too often", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open({ trustLoopback: false, limits: { strangerBurst: 5, strangerPerSecond: 1 } });
      const stream = await raw.open(addressOf(host));
      for (let id = 0; id < 20; id++) stream.send(call(id, hello.name));
      await stream.closed;
      assert.ok(stream.messages.length <= 5);
    }));

  it("cannot hold more streams than allowed", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open({ limits: { maxStreams: 3 } });
      const streams = await Promise.all([1, 2, 3, 4, 5].map(async () => raw.open(addressOf(host))));
      await until(() => streams.filter(({ stream }) => stream.status === "reset").length === 2);
      assert.equal(host.stats().inboundStreams, 3);
    }));

  it("speaks another version of the protocol to nobody", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const host = await open();
      const connection = await raw.node.dial(multiaddr(addressOf(host)));
      await assert.rejects(connection.newStream("/mcp+p2p/9.9.9-forged"), /protocol/i);
    }));
});

describe("a hostile callee", LIMIT, () => {
  it("that answers with a huge frame, garbage, or half a frame loses the call and the stream", () =>
    withHosts(async (open) => {
      const bad = [
        Buffer.from([0x7f, 0xff, 0xff, 0xff]),
        Buffer.from([0, 0, 0, 1, 0x21]),
        Buffer.from([0, 0, 1, 0, 0x7b]),
      ];
      for (const bytes of bad) {
        await using raw = await rawPeer();
        const address = await raw.serve(({ stream }) => {
          stream.addEventListener("message", () => {
            stream.send(bytes);
            stream.close().catch(() => undefined);
          });
        });
        const host = await open();
        await assert.rejects(host.rpc.call({ multiaddr: address }, once, { value: 1 }), {
          code: "E_CONNECTION_LOST",
        });
      }
    }));

  it("that answers other calls than those made is not heard, and counted", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const address = await raw.serve((peer) => {
        peer.stream.addEventListener("message", () => {
          const id = peer.messages[0]?.["id"];
          peer.send(
            { jsonrpc: "2.0", id: "rpc:77", result: { value: "wrong" } },
            { jsonrpc: "2.0", id: 1, result: 2 },
          );
          peer.send(
            { jsonrpc: "2.0", id, result: { value: "right" } },
            { jsonrpc: "2.0", id, result: { value: "twice" } },
          );
        });
      });
      const host = await open();
      assert.deepEqual(await host.rpc.call({ multiaddr: address }, once, { value: 1 }), { value: "right" });
      await until(() => host.stats().strayAnswers === 3);
    }));

  it("that answers in the wrong shape is a protocol error, never an empty success", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const address = await raw.serve((peer) => {
        peer.stream.addEventListener("message", () => {
          peer.send({ jsonrpc: "2.0", id: peer.messages.at(-1)?.["id"], result: ["no", "object"] });
        });
      });
      const host = await open();
      await assert.rejects(host.rpc.call({ multiaddr: address }, once, { value: 1 }), { code: "E_PROTOCOL" });
    }));
});
