/** Requests to an HTTP endpoint: plain tool calls, everything that looks like one, and mutations of both. */
import * as fc from "fast-check";
import * as z from "zod";
import type { JsonObject } from "../../src/content/json.ts";
import { DeniedError } from "../../src/errors.ts";
import { defineTool, type Tool } from "../../src/tools/index.ts";
import { breaks, echo, steps } from "../server/tools.ts";
import { INITIALIZE, JSON_HEADERS, META, modern, type Raw, VERSION } from "./http-support.ts";

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
const wantsHeader: Tool = { ...mirror, name: "header" };

/** The tools of both endpoints. */
export const tools: readonly Tool[] = [echo, breaks, steps, mirror, reports, bare, refuses, big, wantsHeader];

/** The input schemas of both endpoints: that of one tool asks for a header. */
export function schemaOf(name: string, schema: JsonObject | undefined): JsonObject | undefined {
  return name === "header" ? { properties: { text: { "x-mcp-header": "Text" } } } : schema;
}

/** A call of the stateless era with its headers in order. */
export const call = (
  name: string,
  args?: unknown,
  extra: object = {},
  headers: Record<string, string> = {},
): Raw => modern("tools/call", { name, ...(args !== undefined && { arguments: args }), ...extra }, headers);

/** A call whose body was changed by hand. */
export function edited(
  edit: (body: Record<string, unknown>) => unknown,
  headers: Record<string, string> = {},
): Raw {
  const { body = "", ...request } = call("echo", { text: "hi" }, {}, headers);
  const parsed: Record<string, unknown> = { ...z.record(z.string(), z.unknown()).parse(JSON.parse(body)) };
  return { ...request, body: JSON.stringify(edit(parsed)) };
}

/** A request with a piece of its text changed, for what no object literal can say. */
function replaced(request: Raw, from: string, to: string): Raw {
  const { body = "" } = request;
  if (!body.includes(from)) throw new TypeError(`no ${from} in ${body}`);
  return { ...request, body: body.replace(from, to) };
}

const withMeta = (meta: object): Raw => call("echo", { text: "hi" }, { _meta: meta });
const PV = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const CLIENT = "io.modelcontextprotocol/clientInfo";

/** Requests that the fast path answers. */
export const PLAIN: Readonly<Record<string, Raw>> = {
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
  "meta named __proto__": replaced(
    call("echo", { text: "hi" }),
    `"_meta":{`,
    `"_meta":{"__proto__":{"progressToken":1},`,
  ),
  "a nested argument named __proto__": replaced(
    call("mirror", { a: {} }),
    `"a":{}`,
    `"a":{"__proto__":{"b":1}}`,
  ),
};

/** Requests that go through the SDK. */
export const OTHER: Readonly<Record<string, Raw>> = {
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
  "no id": edited((body) => ({ ...body, id: undefined })),
  "an id that is null": edited((body) => ({ ...body, id: null })),
  "an id that is no integer": edited((body) => ({ ...body, id: 1.5 })),
  "an id beyond the integers": edited((body) => ({ ...body, id: 2 ** 53 })),
  "another JSON-RPC": edited((body) => ({ ...body, jsonrpc: "1.0" })),
  "an extra member": edited((body) => ({ ...body, more: 1 })),
  "a result beside": edited((body) => ({ ...body, result: {} })),
  "a batch": edited((body) => [body]),
  "an empty batch": edited(() => []),
  null: edited(() => null),
  "no params": edited((body) => ({ ...body, params: undefined })),
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
  "an argument named __proto__": replaced(
    call("mirror", {}),
    `"arguments":{}`,
    `"arguments":{"__proto__":{"a":1},"b":2}`,
  ),
};

const mostly = (value: unknown, others: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant<unknown>(value) }, { weight: 1, arbitrary: others });

const headerOf = (value: string): fc.Arbitrary<string | undefined> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(value) },
    { weight: 1, arbitrary: fc.constantFrom(undefined, ` ${value} `, "x", "", value.toUpperCase()) },
    { weight: 1, arbitrary: fc.constant(`=?base64?${Buffer.from(value).toString("base64")}?=`) },
  );

/** Calls with something changed in headers, message, parameters or text. */
export function mutated(): fc.Arbitrary<Raw> {
  const odd = fc.jsonValue({ maxDepth: 2 });
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
      .record({ version: headerOf(VERSION), method: headerOf("tools/call"), name: headerOf(tool) })
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
