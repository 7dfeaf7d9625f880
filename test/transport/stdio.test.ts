/** MCP over a pair of streams, as a host sees a server that it has started. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, it } from "node:test";
import { OWNER } from "../../src/authority/caller.ts";
import type { Clock } from "../../src/clock.ts";
import { DRAIN_MS, MAX_LINE_BYTES, stdioTransport } from "../../src/transport/stdio.ts";
import { settled, TestClock } from "../support/clock.ts";
import { openSmallNode, type SmallNode } from "../server/support.ts";
import { aborted, echo, type Endless, endless, steps } from "../server/tools.ts";

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
};

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly code: number };
}

function call(id: number, name: string, args: object = {}, meta: object = {}): object {
  return { id, method: "tools/call", params: { name, arguments: args, _meta: { ...META, ...meta } } };
}

describe("stdio", () => {
  let node: SmallNode;
  let forever: Endless;
  let stdin: PassThrough;
  let stdout: PassThrough;

  const serve = async (clock?: Clock): Promise<void> => {
    stdin = new PassThrough();
    stdout = new PassThrough();
    await node.server.serveStream(stdioTransport({ stdin, stdout, clock }), OWNER);
  };
  const send = (...messages: readonly object[]): void => {
    stdin.write(messages.map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`).join(""));
  };
  /** Reads so many messages off the output; everything on it must be one. */
  const read = async (count: number): Promise<readonly Message[]> => {
    let text = "";
    for (;;) {
      const lines = text.split("\n").slice(0, -1);
      if (lines.length >= count) return lines.map((line): Message => JSON.parse(line));
      const chunk: unknown = stdout.read();
      if (chunk instanceof Buffer) text += chunk.toString();
      else await once(stdout, "readable");
    }
  };

  beforeEach(async () => {
    forever = endless();
    node = await openSmallNode({ tools: [echo, steps, forever.tool] });
  });
  afterEach(async () => node[Symbol.asyncDispose]());

  it("serves a bare client of the initialize era", async () => {
    await serve();
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "bare", version: "1" },
    };
    send(
      { id: 1, method: "initialize", params },
      { method: "notifications/initialized" },
      { id: 2, method: "tools/list" },
    );
    const [first, second] = await read(2);
    assert.equal(first?.result?.["protocolVersion"], "2025-06-18");
    assert.ok(Array.isArray(second?.result?.["tools"]));
  });

  it("serves a client of the stateless era, progress before the answer", async () => {
    await serve();
    send(call(1, "steps", {}, { progressToken: "p" }));
    const messages = await read(4);
    assert.deepEqual(
      messages.map(({ method, params, id }) => (method ? params?.["progress"] : id)),
      [1, 2, 3, 1],
    );
  });

  it("answers what is no message, and goes on", async () => {
    await serve();
    stdin.write("not json\n\n  \r\n[1,2]\n");
    send(call(3, "echo", { text: "still here" }));
    const messages = await read(3);
    assert.deepEqual(
      messages.map(({ error, id }) => error?.code ?? id),
      [-32700, -32600, 3],
    );
  });

  it("reads messages that come in pieces", async () => {
    await serve();
    const line = `${JSON.stringify({ jsonrpc: "2.0", ...call(1, "echo", { text: "süß" }) })}\n`;
    for (const byte of Buffer.from(line)) stdin.write(Buffer.of(byte));
    const [answer] = await read(1);
    assert.deepEqual(answer?.result?.["structuredContent"], { ok: true, text: "süß" });
  });

  it("answers what was asked before the input ended", async () => {
    await serve();
    send(call(1, "echo", { text: "a" }), call(2, "echo", { text: "b" }));
    stdin.end();
    assert.deepEqual(
      (await read(2)).map(({ id }) => id),
      [1, 2],
    );
  });

  it("aborts what is still running some time after the input has ended", async () => {
    const clock = new TestClock();
    await serve(clock);
    send(call(1, "endless"));
    const signal = await forever.begun();
    stdin.end();
    await once(stdin, "end");
    await settled();
    clock.jump(DRAIN_MS - 1);
    await settled();
    assert.equal(signal.aborted, false);
    clock.jump(1);
    await aborted(signal);
    assert.equal(clock.pending, 0);
  });

  it("aborts a call that is cancelled, and then does not wait for its answer", async () => {
    const clock = new TestClock();
    await serve(clock);
    send(call(1, "endless"));
    const signal = await forever.begun();
    send({ method: "notifications/cancelled", params: { requestId: 1, _meta: META } });
    await aborted(signal);
    stdin.end();
    await once(stdin, "end");
    await settled();
    assert.equal(clock.pending, 0);
  });

  it("ends the connection when a line is longer than allowed, without keeping it", async () => {
    await serve();
    send(call(1, "endless"));
    const signal = await forever.begun();
    const chunk = Buffer.alloc(1024 * 1024, 0x20);
    for (let bytes = 0; bytes <= MAX_LINE_BYTES; bytes += chunk.length) stdin.write(chunk);
    await aborted(signal);
  });

  it("ends when nobody reads the output any more", async () => {
    await serve();
    send(call(1, "endless"));
    const signal = await forever.begun();
    stdout.destroy();
    await aborted(signal);
  });
});
