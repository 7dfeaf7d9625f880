import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { PeerCaller } from "../../src/authority/caller.ts";
import type { JsonObject } from "../../src/content/json.ts";
import type { MessageChannel } from "../../src/p2p/index.ts";
import { addressOf, text, until, withHosts } from "./hosts.ts";
import { frames, rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 60_000 };
const note = (n: number, body = ""): JsonObject => ({
  jsonrpc: "2.0",
  method: "notifications/test",
  params: { n, body },
});

describe("a channel", LIMIT, () => {
  it("tells who is at the other end, and is made at the first message that is no call", () =>
    withHosts(async (open) => {
      const callers: PeerCaller[] = [];
      const [a, b] = [await open(), await open({ onMcp: (_, caller) => void callers.push(caller) })];
      const channel = await a.openChannel({ multiaddr: addressOf(b) });
      await until(() => b.stats().inboundStreams === 2);
      assert.equal(callers.length, 0);
      await channel.send(note(1));
      await until(() => callers.length === 1);
      assert.deepEqual(callers, [{ kind: "peer", peerId: a.peerId, sameMachine: true, provedToken: false }]);
    }));

  it("tells of its end also whoever listens only after it", () =>
    withHosts(async (open) => {
      const channels: MessageChannel[] = [];
      const b = await open({ onMcp: (channel) => void channels.push(channel) });
      await using peer = await rawPeer();
      const { stream, closed } = await peer.open(addressOf(b));
      stream.send(Buffer.concat([frames(note(1)), Buffer.from([0, 0, 0, 1, 0x7b])]));
      await closed;
      const [channel] = channels;
      assert.ok(channel);
      await new Promise<void>((resolve) => {
        channel.onClose = resolve;
      });
    }));

  it("keeps what comes before somebody listens, without reading on for ever", () =>
    withHosts(async (open) => {
      const channels: MessageChannel[] = [];
      const [a, b] = [await open(), await open({ onMcp: (channel) => void channels.push(channel) })];
      const channel = await a.openChannel({ multiaddr: addressOf(b) });
      const body = text(50_000);
      const sent = Promise.all(Array.from({ length: 400 }, (_, n) => channel.send(note(n, body))));
      await until(() => channels.length === 1);
      for (let last = -1; last !== a.stats().unsentBytes;) {
        last = a.stats().unsentBytes;
        for (let i = 0; i < 100; i++) await turn();
      }
      assert.ok(a.stats().unsentBytes > 10_000_000, "most of the 20 MB must still be at the sender");

      const got: unknown[] = [];
      const [inbound] = channels;
      assert.ok(inbound);
      inbound.onMessage = ({ params }) => void got.push(params);
      await sent;
      await until(() => got.length === 400);
      assert.deepEqual(got[399], { n: 399, body });
    }));

  it("makes a sender wait for a reader that does not read, and fails it when the stream breaks", () =>
    withHosts(async (open) => {
      await using raw = await rawPeer();
      const address = await raw.serve(({ stream }) => stream.pause());
      const a = await open({ limits: { highWaterBytes: 1024 * 1024 } });
      const channel = await a.openChannel({ multiaddr: address });
      let accepted = 0;
      let failure: unknown;
      const flood = (async () => {
        for (let n = 0; n < 1000; n++) {
          await channel.send(note(n, text(50_000)));
          accepted += 1;
        }
      })().catch((error: unknown) => (failure = error));
      for (let last = -1; last !== accepted;) {
        last = accepted;
        for (let i = 0; i < 100; i++) await turn();
      }
      assert.ok(accepted < 200, `${accepted} messages of 50 kB were taken`);

      await raw.node.stop();
      await flood;
      assert.ok(failure instanceof Error);
      await assert.rejects(channel.send(note(0)), { code: "E_CONNECTION_LOST" });
    }));

  it("says goodbye to both ends once", () =>
    withHosts(async (open) => {
      let closed = 0;
      const onMcp = (channel: MessageChannel): void => {
        channel.onMessage = () => undefined;
        channel.onClose = () => (closed += 1);
      };
      const [a, b] = [await open(), await open({ onMcp })];
      const channel = await a.openChannel({ multiaddr: addressOf(b) });
      let ended = 0;
      channel.onClose = () => (ended += 1);
      await channel.send(note(1));
      await channel.close();
      await channel.close();
      await until(() => closed === 1);
      assert.equal(ended, 1);
    }));
});
