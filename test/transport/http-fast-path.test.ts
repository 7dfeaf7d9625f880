/** The fast path of plain tool calls: it answers what the SDK's server answers, byte for byte, and nothing else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import * as z from "zod";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { DeniedError } from "../../src/errors.ts";
import { defineTool, type Tool } from "../../src/tools/index.ts";
import { KEEP_ALIVE_MS } from "../../src/transport/http.ts";
import { settled, TestClock } from "../support/clock.ts";
import { STRANGER } from "../server/support.ts";
import { aborted, breaks, echo, endless, steps } from "../server/tools.ts";
import { ask, type Endpoint, openEndpoint } from "./http-pair.ts";
import { INITIALIZE, JSON_HEADERS, META, modern, type Raw, raw, VERSION } from "./http-support.ts";

const { annotations } = echo;

/** Answers whatever it was given, also what no schema names. */
const mirror = defineTool({
  name: "mirror",
  description: "Answers its arguments.",
  input: z.looseObject({}),
  output: z.looseObject({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  run: async (input) => ({ ok: true, input }),
});

/** Reports a failure as a value, as tools that ask old peers do. */
const reports = defineTool({
  name: "reports",
  description: "Fails with a value.",
  input: z.looseObject({}),
  output: z.looseObject({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  run: async () => ({ ok: false, error: 'no "luck" \u2028 today' }),
});

/** Answers what is no object. */
const bare = defineTool({
  name: "bare",
  description: "Answers a list.",
  input: z.looseObject({}),
  output: z.unknown(),
  annotations,
  grant: "observe",
  run: async () => [1, null, { x: undefined }],
});

const refuses = defineTool({
  name: "refuses",
  description: "Is denied something further on.",
  input: z.looseObject({}),
  output: z.looseObject({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  run: async () => {
    throw new DeniedError("owner", "cache");
  },
});

const big = defineTool({
  name: "big",
  description: "Answers a lot.",
  input: z.looseObject({}),
  output: z.looseObject({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  run: async () => ({ ok: true, text: 'äöü€😀"\\\n'.repeat(150_000) }),
});

/** Its text is wanted in a header too. */
const header: Tool = { ...mirror, name: "header" };

const tools: readonly Tool[] = [echo, breaks, steps, mirror, reports, bare, refuses, big, header];

function schemaOf(name: string, schema: JsonObject | undefined): JsonObject | undefined {
  return name === "header" ? { properties: { text: { "x-mcp-header": "Text" } } } : schema;
}

const call = (name: string, args?: unknown, extra: object = {}, headers: Record<string, string> = {}): Raw =>
  modern("tools/call", { name, ...(args !== undefined && { arguments: args }), ...extra }, headers);

/** A call whose body was changed by hand. */
function edited(edit: (body: Record<string, unknown>) => unknown, headers: Record<string, string> = {}): Raw {
  const { body = "", ...request } = call("echo", { text: "hi" }, {}, headers);
  const parsed: Record<string, unknown> = { ...z.record(z.string(), z.unknown()).parse(JSON.parse(body)) };
  return { ...request, body: JSON.stringify(edit(parsed)) };
}

const withMeta = (meta: object): Raw => call("echo", { text: "hi" }, { _meta: meta });
const PV = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const CLIENT = "io.modelcontextprotocol/clientInfo";

/** Requests that the fast path answers. */
const PLAIN: Readonly<Record<string, Raw>> = {
  "a call": call("echo", { text: "hi" }),
  "unicode and what JSON escapes": call("echo", { text: 'äö €😀 \u0000\u001f"\\/\u2028\u2029\ud800' }),
  "no arguments": call("steps"),
  "empty arguments": call("mirror", {}),
  "nested arguments": call("mirror", { a: [1, -0, 1e21, null, { b: {} }], "": true, constructor: 1 }),
  "wrong arguments": call("echo", { text: 1 }),
  "missing arguments": call("echo"),
  "unexpected arguments": call("echo", { text: "x", more: 1 }),
  "a tool that throws": call("breaks", {}),
  "a tool that reports a failure": call("reports"),
  "a tool that answers a list": call("bare"),
  "a tool that is denied something": call("refuses"),
  "a big result": call("big"),
  "an id that is text": edited((body) => ({ ...body, id: 'sieben "7"' })),
  "an id below zero": edited((body) => ({ ...body, id: -1 })),
  "the largest id": edited((body) => ({ ...body, id: Number.MAX_SAFE_INTEGER })),
  "no client": withMeta({ [PV]: VERSION, [CAPABILITIES]: {} }),
  capabilities: withMeta({ ...META, [CAPABILITIES]: { sampling: {}, extensions: { x: { y: 1 } } } }),
  "meta of the client's own": withMeta({ ...META, "example.com/x": [1], traceparent: "00-1-2-01" }),
  "JSON with a charset": call(
    "echo",
    { text: "hi" },
    {},
    { "content-type": "application/json; charset=utf-8" },
  ),
  "a client that takes no events": call("echo", { text: "hi" }, {}, { accept: "application/json" }),
  "an allowed origin": call("echo", { text: "hi" }, {}, { origin: "http://localhost:1234" }),
};

/** Requests that go through the SDK. */
const OTHER: Readonly<Record<string, Raw>> = {
  "an unknown tool": call("nope", {}),
  "a tool whose name is no word": call("__proto__", {}),
  "a progress token": withMeta({ ...META, progressToken: 1 }),
  "a progress token that tools use": call("steps", {}, { _meta: { ...META, progressToken: "p" } }),
  "a wrong progress token": withMeta({ ...META, progressToken: {} }),
  "a log level": withMeta({ ...META, "io.modelcontextprotocol/logLevel": "info" }),
  "a wrong log level": withMeta({ ...META, "io.modelcontextprotocol/logLevel": 1 }),
  "unknown meta of the protocol": withMeta({ ...META, "io.modelcontextprotocol/new": 1 }),
  "no version": withMeta({ [CAPABILITIES]: {} }),
  "another version": withMeta({ ...META, [PV]: "2027-01-01" }),
  "an old version": withMeta({ ...META, [PV]: "2025-11-25" }),
  "a version that is no text": withMeta({ ...META, [PV]: 1 }),
  "no capabilities": withMeta({ [PV]: VERSION }),
  "capabilities that are null": withMeta({ ...META, [CAPABILITIES]: null }),
  "capabilities that are a list": withMeta({ ...META, [CAPABILITIES]: [] }),
  "wrong capabilities": withMeta({ ...META, [CAPABILITIES]: { sampling: 1 } }),
  "a client that is null": withMeta({ ...META, [CLIENT]: null }),
  "a client that is zero": withMeta({ ...META, [CLIENT]: 0 }),
  "a client without a version": withMeta({ ...META, [CLIENT]: { name: "x" } }),
  "no meta": edited((body) => ({ ...body, params: { name: "echo", arguments: { text: "hi" } } })),
  "meta that is a list": call("echo", { text: "hi" }, { _meta: [] }),
  "input responses": call("echo", { text: "hi" }, { inputResponses: { a: {} } }),
  "a request state": call("echo", { text: "hi" }, { requestState: "x" }),
  "a task": call("echo", { text: "hi" }, { task: { ttl: 1 } }),
  "an unknown parameter": call("echo", { text: "hi" }, { more: 1 }),
  "arguments that are null": call("echo", null),
  "arguments that are a list": call("echo", []),
  "arguments that are text": call("echo", "x"),
  "no id": edited(({ id: _, ...body }) => body),
  "an id that is null": edited((body) => ({ ...body, id: null })),
  "an id that is no integer": edited((body) => ({ ...body, id: 1.5 })),
  "an id beyond the integers": edited((body) => ({ ...body, id: 2 ** 53 })),
  "another JSON-RPC": edited((body) => ({ ...body, jsonrpc: "1.0" })),
  "an extra member": edited((body) => ({ ...body, more: 1 })),
  "a result beside": edited((body) => ({ ...body, result: {} })),
  "a batch": edited((body) => [body]),
  "an empty batch": edited(() => []),
  null: edited(() => null),
  "no params": edited(({ params: _, ...body }) => body),
  "params that are a list": edited((body) => ({ ...body, params: [] })),
  "a method that is unknown": edited((body) => ({ ...body, method: "tools/nope" }), {
    "mcp-method": "tools/nope",
  }),
  "another method than the header": call("echo", { text: "hi" }, {}, { "mcp-method": "tools/list" }),
  "another name than the header": call("echo", { text: "hi" }, {}, { "mcp-name": "steps" }),
  "another version than the header": call(
    "echo",
    { text: "hi" },
    {},
    { "mcp-protocol-version": "2025-11-25" },
  ),
  "a name that is encoded": call("echo", { text: "hi" }, {}, { "mcp-name": "=?base64?ZWNobw==?=" }),
  "a name that only looks encoded": call("=?base64?ZWNobw==?=", {}),
  "a malformed name": call("echo", { text: "hi" }, {}, { "mcp-name": "=?base64?!?=" }),
  "an empty name": call("", {}),
  "a name that is a number": call("echo", {}, { name: 1 }),
  "a header of its own that is missing": call("header", { text: "x" }),
  "a header of its own": call("header", { text: "x" }, {}, { "mcp-param-text": "x" }),
  "a header of its own that differs": call("header", { text: "x" }, {}, { "mcp-param-text": "y" }),
  "no headers": { headers: JSON_HEADERS, body: call("echo", { text: "hi" }).body ?? "" },
  "a foreign origin": call("echo", { text: "hi" }, {}, { origin: "http://evil.example" }),
  "a foreign host": call("echo", { text: "hi" }, {}, { host: "evil.example" }),
  "no JSON": { ...call("echo"), body: "{" },
  nothing: { ...call("echo"), body: "" },
  "another content type": call("echo", { text: "hi" }, {}, { "content-type": "text/plain" }),
  "another path": { ...call("echo", { text: "hi" }), path: "/nowhere" },
  "the list": modern("tools/list"),
  discovery: modern("server/discover"),
  "an unknown session": call("echo", { text: "hi" }, { _meta: {} }, { "mcp-session-id": "x" }),
  "the initialize era": INITIALIZE,
  "an argument named __proto__": {
    ...call("mirror", {}),
    body: (call("mirror", {}).body ?? "").replace(
      `"arguments":{}`,
      `"arguments":{"__proto__":{"a":1},"b":2}`,
    ),
  },
};

let fast: Endpoint;
let slow: Endpoint;
let strangers: readonly [Endpoint, Endpoint];

before(async () => {
  fast = await openEndpoint({ tools, schemaOf }, true);
  slow = await openEndpoint({ tools, schemaOf }, false);
  strangers = [
    await openEndpoint({ tools, caller: STRANGER }, true),
    await openEndpoint({ tools, caller: STRANGER }, false),
  ];
});
after(async () => {
  for (const endpoint of [fast, slow, ...strangers]) await endpoint[Symbol.asyncDispose]();
});

/** How many of two equal requests went past the SDK, after their answers were found equal. */
async function compare(request: Raw, [one, other]: readonly [Endpoint, Endpoint]): Promise<number> {
  const before = one.fastCalls();
  const [quick, plain] = [await ask(one, request), await ask(other, request)];
  assert.deepEqual(quick, plain);
  return one.fastCalls() - before;
}

describe("plain tool calls past the SDK", () => {
  for (const [what, request] of Object.entries(PLAIN)) {
    it(`answer as through it: ${what}`, async () => {
      assert.ok((await compare(request, [fast, slow])) > 0, "the fast path was not taken");
    });
  }

  for (const [what, request] of Object.entries(OTHER)) {
    it(`leave to it: ${what}`, async () => {
      await raw(fast.http.url, call("echo", { text: "hi" }));
      assert.equal(await compare(request, [fast, slow]), 0);
    });
  }

  it("are denied as through it", async () => {
    assert.ok((await compare(call("echo", { text: "hi" }), strangers)) > 0);
    const { text } = await raw(strangers[0].http.url, call("echo", { text: "hi" }));
    assert.match(text, /E_DENIED/);
  });

  it("answer any mutation of a call as through it", async () => {
    let plain = 0;
    await fc.assert(
      fc.asyncProperty(mutated(), async (request) => {
        plain += await compare(request, [fast, slow]);
      }),
      { numRuns: 400, seed: 20_261_122 },
    );
    assert.ok(plain > 20, `only ${plain} of the mutations took the fast path`);
  });

  it("keep 200 calls at once apart", async () => {
    await raw(fast.http.url, call("echo", { text: "first" }));
    const before = fast.fastCalls();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, id) => {
        const request = edited((body) => ({
          ...body,
          id,
          params: { _meta: META, name: "echo", arguments: { text: `text ${id}` } },
        }));
        const answer: unknown = JSON.parse((await raw(fast.http.url, request)).text);
        assert.ok(isJsonObject(answer) && isJsonObject(answer["result"]));
        return [answer["id"], answer["result"]["structuredContent"]];
      }),
    );
    assert.deepEqual(
      answers,
      answers.map((_, id) => [id, { ok: true, text: `text ${id}` }]),
    );
    assert.equal(fast.fastCalls() - before, 200);
  });
});

describe("a plain tool call past the SDK that takes long", () => {
  /** An endpoint that has seen its client's envelope, so that the next call takes the fast path. */
  async function openKnown(
    deadlineMs: number,
    clock = new TestClock(),
  ): Promise<[Endpoint, ReturnType<typeof endless>]> {
    const forever = endless(deadlineMs);
    const endpoint = await openEndpoint({ tools: [echo, forever.tool], clock }, true);
    await raw(endpoint.http.url, call("echo", { text: "hi" }));
    return [endpoint, forever];
  }

  it("is aborted when its client goes away", async () => {
    const [endpoint, forever] = await openKnown(60_000);
    await using _ = endpoint;
    const { headers = {}, body } = call("endless", {});
    const sent = httpRequest(endpoint.http.url, { method: "POST", headers });
    sent.on("error", () => undefined);
    sent.end(body);
    const signal = await forever.begun();
    assert.equal(endpoint.fastCalls(), 1);
    sent.destroy();
    await aborted(signal);
  });

  it("ends at its deadline", async () => {
    const clock = new TestClock();
    const [endpoint, forever] = await openKnown(5000, clock);
    await using _ = endpoint;
    const answer = raw(endpoint.http.url, call("endless", {}));
    await forever.begun();
    clock.jump(5000);
    const { status, text } = await answer;
    assert.equal(status, 200);
    assert.match(text, /E_TIMEOUT/);
    assert.equal(endpoint.fastCalls(), 1);
  });

  it("shows its client that it is alive, and then answers as an event", async () => {
    const clock = new TestClock();
    const [endpoint, forever] = await openKnown(2 * KEEP_ALIVE_MS, clock);
    await using _ = endpoint;
    const { headers = {}, body } = call("endless", {});
    const sent = httpRequest(endpoint.http.url, { method: "POST", headers }).end(body);
    const responded = once(sent, "response");
    await forever.begun();
    clock.jump(KEEP_ALIVE_MS);
    const [response]: unknown[] = await responded;
    assert.ok(response && typeof response === "object" && Symbol.asyncIterator in response);
    clock.jump(2 * KEEP_ALIVE_MS);
    const chunks = await Array.fromAsync(z.custom<AsyncIterable<Buffer>>().parse(response));
    const text = Buffer.concat(chunks).toString();
    assert.match(text, /^: waiting\n\n(: waiting\n\n)*event: message\ndata: \{.*E_TIMEOUT.*"id":7\}\n\n$/s);
  });

  it("is aborted and answered when the server closes", async () => {
    const [endpoint, forever] = await openKnown(60_000);
    await using _ = endpoint;
    const answer = raw(endpoint.http.url, call("endless", {}));
    const signal = await forever.begun();
    await endpoint.node.server.close();
    const { status, text } = await answer;
    assert.deepEqual([status, JSON.parse(text).id], [503, 7]);
    await aborted(signal);
  });

  it("says that the node is shutting down when its nursery ends", async () => {
    const [endpoint, forever] = await openKnown(60_000);
    await using _ = endpoint;
    const answer = raw(endpoint.http.url, call("endless", {}));
    await forever.begun();
    endpoint.node.nursery.cancel("closing");
    assert.match((await answer).text, /E_SHUTTING_DOWN/);
    await settled();
  });
});

/** Calls with something changed in headers, message, parameters or text. */
function mutated(): fc.Arbitrary<Raw> {
  const odd = fc.jsonValue({ maxDepth: 2 });
  const mostly = <T>(value: T, others: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
    fc.oneof({ weight: 8, arbitrary: fc.constant<unknown>(value) }, { weight: 1, arbitrary: others });
  const gone = fc.constant(undefined);
  const name = fc.constantFrom("echo", "mirror", "breaks", "reports", "nope", "header", "");
  const args = fc.oneof(fc.constant({ text: "hi" }), fc.dictionary(fc.string(), odd), odd, gone);
  const meta = fc.record({
    [PV]: mostly(VERSION, odd),
    [CAPABILITIES]: mostly({}, fc.oneof(odd, gone)),
    [CLIENT]: mostly({ name: "test", version: "1" }, fc.oneof(odd, gone)),
    progressToken: mostly(undefined, odd),
    extra: fc.oneof(gone, odd),
  });
  const header = (value: string): fc.Arbitrary<string | undefined> =>
    fc.oneof(
      { weight: 12, arbitrary: fc.constant(value) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, ` ${value} `, "x", "", value.toUpperCase()) },
      { weight: 1, arbitrary: fc.constant(`=?base64?${Buffer.from(value).toString("base64")}?=`) },
    );
  const message = fc.record({
    jsonrpc: mostly("2.0", odd),
    id: mostly(7, fc.oneof(odd, gone, fc.string())),
    method: mostly("tools/call", fc.constantFrom("tools/list", "initialize", "nope", 1)),
    name,
    args,
    meta: mostly(undefined, odd),
    parts: meta,
    extra: mostly({}, fc.dictionary(fc.constantFrom("task", "inputResponses", "requestState", "x"), odd)),
  });
  const requests = message.chain(({ name: tool, args: given, meta: whole, parts, extra, ...outer }) => {
    const _meta = whole === undefined ? parts : whole;
    const params = { name: tool, arguments: given, _meta, ...z.record(z.string(), z.unknown()).parse(extra) };
    return fc
      .record({ version: header(VERSION), method: header("tools/call"), name: header(tool) })
      .map((headers) => ({ headers, text: JSON.stringify({ ...outer, params }) }));
  });
  const cut = fc.oneof(
    { weight: 15, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
  );
  return fc.tuple(requests, cut).map(([{ headers, text }, share]) => {
    const named = Object.entries({
      "mcp-protocol-version": headers.version,
      "mcp-method": headers.method,
      "mcp-name": headers.name,
    }).flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
    return {
      headers: { ...JSON_HEADERS, ...Object.fromEntries(named) },
      body: text.slice(0, Math.ceil(text.length * share)),
    };
  });
}
