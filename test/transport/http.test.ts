/** The HTTP endpoint with real sockets: raw requests, and the official clients of both generations in every mode. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport as AnyTransportV1 } from "@modelcontextprotocol/sdk/shared/transport.js";
import { OWNER } from "../../src/authority/caller.ts";
import { systemClock } from "../../src/clock.ts";
import { ConfigError } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import {
  type HttpOptions,
  type HttpServer,
  MAX_HTTP_BODY_BYTES,
  requirePort,
  startHttp,
} from "../../src/transport/index.ts";
import { openSmallNode, type SmallNode } from "../server/support.ts";
import {
  type Answer,
  INITIALIZE,
  JSON_HEADERS,
  listIn,
  META,
  modern,
  type Raw,
  raw as rawTo,
  sessionOf,
  VERSION,
} from "./http-support.ts";
import { aborted, breaks, echo, type Endless, endless, steps } from "../server/tools.ts";

const PIN = { mode: { pin: VERSION } } as const;

let node: SmallNode;
let http: HttpServer;
let forever: Endless;

const raw = (request?: Raw): Promise<Answer> => rawTo(http.url, request);

function optionsFor(small: SmallNode): HttpOptions {
  return {
    host: "127.0.0.1",
    port: 0,
    nursery: small.nursery,
    clock: systemClock,
    logger: silentLogger,
    attachModern: (transport) => small.server.serveModern(transport, OWNER),
    attachLegacy: (transport) => small.server.serveLegacySession(transport, OWNER),
    inputSchemaOf: (name) => small.server.inputSchemaOf(name),
    plainTool: (name) => small.server.plainTool(name, OWNER),
  };
}

beforeEach(async () => {
  forever = endless();
  node = await openSmallNode({ tools: [echo, steps, breaks, forever.tool] });
  http = await startHttp({ ...optionsFor(node), maxSessions: 2 });
});

afterEach(async () => {
  await node.server.close();
  await http.close();
  await node[Symbol.asyncDispose]();
});

describe("HTTP guards", () => {
  it("tells its health", async () => {
    const { status, text } = await raw({ method: "GET", path: "/health" });
    assert.deepEqual([status, JSON.parse(text)], [200, { status: "ok" }]);
  });

  it("refuses foreign hosts and origins before it reads anything", async () => {
    for (const path of ["/mcp", "/health", "/nowhere"]) {
      assert.equal((await raw({ path, headers: { host: "evil.example" }, body: "{" })).status, 403);
      assert.equal((await raw({ path, headers: { origin: "http://evil.example" }, body: "{" })).status, 403);
      assert.equal((await raw({ path, headers: { origin: "null" }, body: "{" })).status, 403);
    }
    const call = modern("tools/list", {}, { origin: "http://localhost:3000" });
    assert.equal((await raw(call)).status, 200);
  });

  it("answers wrong paths, methods and content types in JSON", async () => {
    const answers = [
      await raw({ path: "/nowhere" }),
      await raw({ method: "PUT" }),
      await raw({ method: "GET" }),
      await raw({ headers: { "content-type": "text/plain" }, body: "{}" }),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 405, 405, 415],
    );
    for (const { text } of answers) assert.ok(JSON.parse(text));
  });

  it("answers garbage with a parse error", async () => {
    const { status, text } = await raw({ headers: JSON_HEADERS, body: "{not json" });
    assert.equal(status, 400);
    assert.match(text, /-32700/);
    for (const body of ["null", "1", '"x"', "[]", "{}"]) {
      assert.equal((await raw({ headers: JSON_HEADERS, body })).status, 400, body);
    }
  });

  it("refuses a body over the limit without reading it all", async () => {
    const declared = await raw({
      headers: { ...JSON_HEADERS, "content-length": String(MAX_HTTP_BODY_BYTES + 1) },
      body: "{",
    });
    assert.equal(declared.status, 413);
  });

  it("refuses an endless body without a declared length", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const sent = httpRequest(http.url, { method: "POST", headers: JSON_HEADERS }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      // The server stops reading and closes, so the rest may fail to be written.
      sent.on("error", reject);
      const chunk = Buffer.alloc(1024 * 1024, 0x20);
      for (let sentBytes = 0; sentBytes <= MAX_HTTP_BODY_BYTES; sentBytes += chunk.length) sent.write(chunk);
    });
    assert.equal(status, 413);
  });

  it("goes on after a client that broke off in the middle of its body", async () => {
    const headers = { ...JSON_HEADERS, "content-length": "100" };
    const sent = httpRequest(http.url, { method: "POST", headers });
    const broken = once(sent, "error");
    sent.write(`{"jsonrpc"`);
    await raw({ method: "GET", path: "/health" });
    sent.destroy(new Error("gone"));
    await broken;
    assert.equal((await raw(modern("tools/list"))).status, 200);
  });

  it("binds only to loopback", async () => {
    for (const host of ["0.0.0.0", "::", "192.168.1.2", "example.org"]) {
      await assert.rejects(startHttp({ ...optionsFor(node), host }), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.ok(error.hint);
        return true;
      });
    }
  });

  it("says what to do when the port is taken", async () => {
    const port = Number(new URL(http.url).port);
    await assert.rejects(startHttp({ ...optionsFor(node), port }), /HTTP port \d+ is already in use/);
    await assert.rejects(requirePort("127.0.0.1", port), { code: "E_CONFIG" });
  });
});

describe("HTTP, stateless era", () => {
  it("answers a call with plain JSON", async () => {
    const { status, headers, text } = await raw(
      modern("tools/call", { name: "echo", arguments: { text: "hi" } }),
    );
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/json");
    const { id, result } = JSON.parse(text);
    assert.equal(id, 7);
    assert.deepEqual(result.structuredContent, { ok: true, text: "hi" });
    assert.equal(result.resultType, "complete");
  });

  it("maps protocol errors to statuses", async () => {
    const missing = modern("tools/list");
    const { "mcp-method": _, ...withoutMethod } = { ...missing.headers };
    const wrongName = modern(
      "tools/call",
      { name: "echo", arguments: { text: "x" } },
      { "mcp-name": "steps" },
    );
    const old = {
      ...modern("tools/list", {
        _meta: { ...META, "io.modelcontextprotocol/protocolVersion": "2027-01-01" },
      }),
    };
    const rows: readonly [string, Raw, number, number][] = [
      ["unknown method", modern("nope/nope"), 404, -32601],
      ["unknown tool", modern("tools/call", { name: "nope", arguments: {} }), 200, -32602],
      ["missing header", { ...missing, headers: withoutMethod }, 400, -32020],
      ["header against body", wrongName, 400, -32020],
      [
        "unknown revision",
        { ...old, headers: { ...old.headers, "mcp-protocol-version": "2027-01-01" } },
        400,
        -32022,
      ],
    ];
    for (const [label, request, status, code] of rows) {
      const answer = await raw(request);
      assert.deepEqual(
        [answer.status, JSON.parse(answer.text).error.code],
        [status, code],
        `${label}: ${answer.text}`,
      );
    }
  });

  it("aborts the tool when the client goes away in the middle of a call", async () => {
    const controller = new AbortController();
    const { headers = {}, body = "" } = modern("tools/call", { name: "endless", arguments: {} });
    const call = fetch(http.url, { method: "POST", headers, body, signal: controller.signal });
    const signal = await forever.begun();
    controller.abort();
    await assert.rejects(call);
    await aborted(signal);
  });

  it("keeps clients apart that use the same request id and progress token", async () => {
    const texts = Array.from({ length: 200 }, (_, index) => `text ${index}`);
    const answers = await Promise.all(
      texts.map((text) =>
        raw(
          modern("tools/call", { name: "echo", arguments: { text }, _meta: { ...META, progressToken: 1 } }),
        ),
      ),
    );
    assert.deepEqual(
      answers.map(({ text }) => JSON.parse(text).result.structuredContent.text),
      texts,
    );
  });

  it("streams progress as events before the answer", async () => {
    const { headers, text } = await raw(
      modern("tools/call", { name: "steps", arguments: {}, _meta: { ...META, progressToken: "p" } }),
    );
    assert.equal(headers["content-type"], "text/event-stream");
    const events = text
      .split("\n\n")
      .filter(Boolean)
      .map((event) => JSON.parse(event.replace(/^event: message\ndata: /, "")));
    assert.deepEqual(
      events.map(({ params, result }) => params?.progress ?? result.structuredContent),
      [1, 2, 3, { ok: true }],
    );
  });

  it("keeps going after a tool has failed", async () => {
    const failed = JSON.parse((await raw(modern("tools/call", { name: "breaks", arguments: {} }))).text);
    assert.equal(failed.result.isError, true);
    assert.equal(failed.result.structuredContent.error_code, "E_INTERNAL");
    assert.equal((await raw(modern("tools/list"))).status, 200);
  });
});

describe("HTTP, initialize era", () => {
  it("opens a session, serves it, ends it, and then knows it no more", async () => {
    const session = sessionOf(await raw(INITIALIZE));
    assert.match((await raw(listIn(session))).text, /"echo"/);
    assert.equal((await raw({ method: "DELETE", headers: { "mcp-session-id": session } })).status, 200);
    const { status, text } = await raw(listIn(session));
    assert.deepEqual([status, JSON.parse(text).error.message], [404, "Session not found"]);
  });

  it("wants a session for anything but initialize", async () => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/list" });
    assert.equal((await raw({ headers: JSON_HEADERS, body })).status, 400);
    assert.equal((await raw(listIn("unknown"))).status, 404);
  });

  it("ends the session idle longest when there would be too many", async () => {
    const first = sessionOf(await raw(INITIALIZE));
    const second = sessionOf(await raw(INITIALIZE));
    assert.equal((await raw(listIn(first))).status, 200);
    const third = sessionOf(await raw(INITIALIZE));
    assert.deepEqual(
      [
        (await raw(listIn(first))).status,
        (await raw(listIn(second))).status,
        (await raw(listIn(third))).status,
      ],
      [200, 404, 200],
    );
  });

  it("takes no new session while all are in use", async () => {
    for (let count = 0; count < 2; count++) {
      const session = sessionOf(await raw(INITIALIZE));
      const body = JSON.stringify({
        jsonrpc: "2.0",
        id: 3,
        method: "tools/call",
        params: { name: "endless", arguments: {} },
      });
      const { headers } = listIn(session);
      raw({ headers: { ...headers }, body }).catch(() => undefined);
      await forever.begun();
    }
    const { status, headers } = await raw(INITIALIZE);
    assert.equal(status, 503);
    assert.ok(headers["retry-after"]);
  });
});

describe("HTTP with official clients", () => {
  for (const [label, options] of [
    ["v2 auto", { versionNegotiation: { mode: "auto" } }],
    ["v2 legacy", { versionNegotiation: { mode: "legacy" } }],
    ["v2 pinned", { versionNegotiation: PIN }],
  ] as const) {
    it(`serves the SDK client ${label}: list, call, progress, cancel`, async () => {
      const client = new Client({ name: "t", version: "1" }, options);
      await client.connect(new StreamableHTTPClientTransport(new URL(http.url)));
      const { tools } = await client.listTools();
      assert.deepEqual(
        tools.map(({ name }) => name),
        ["echo", "steps", "breaks", "endless"],
      );
      const answer = await client.callTool({ name: "echo", arguments: { text: "hi" } });
      assert.deepEqual(answer.structuredContent, { ok: true, text: "hi" });
      const seen: number[] = [];
      const onprogress = ({ progress }: { readonly progress: number }): void => void seen.push(progress);
      await client.callTool({ name: "steps", arguments: {} }, { onprogress });
      assert.deepEqual(seen, [1, 2, 3]);

      const controller = new AbortController();
      const call = client.callTool({ name: "endless", arguments: {} }, { signal: controller.signal });
      const signal = await forever.begun();
      controller.abort();
      await assert.rejects(call);
      await aborted(signal);
      await client.close();
    });
  }

  it("serves the SDK client v1", async () => {
    const client = new ClientV1({ name: "t", version: "1" });
    const transport = new TransportV1(new URL(http.url));
    assert.ok(isTransportV1(transport));
    await client.connect(transport);
    const { tools } = await client.listTools();
    assert.equal(tools.length, 4);
    const answer = await client.callTool({ name: "echo", arguments: { text: "hi" } });
    assert.deepEqual(answer.structuredContent, { ok: true, text: "hi" });
    const bad = await client.callTool({ name: "echo", arguments: { text: 1 } });
    assert.equal(bad.isError, true);
    await transport.terminateSession();
    await client.close();
  });
});

/** The v1 SDK declares its own transports in a way that its own interface refuses under exact optional properties. */
function isTransportV1(transport: object): transport is AnyTransportV1 {
  return "send" in transport;
}

describe("HTTP shutdown", () => {
  it("lets a client finish that has connected but not yet asked for everything", async () => {
    const slow = httpRequest(http.url, { method: "POST", headers: modern("tools/list").headers ?? {} });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      slow.on("error", reject);
      slow.on("response", (response) => {
        response.resume();
        resolve(response.statusCode);
      });
    });
    const { body = "" } = modern("tools/list");
    slow.write(body.slice(0, 10));
    await raw({ method: "GET", path: "/health" });
    const closing = http.close();
    slow.end(body.slice(10));
    assert.equal(await answered, 200);
    await closing;
  });

  it("lets a running request end, takes no new one, and closes idle connections", async () => {
    const call = raw(modern("tools/call", { name: "endless", arguments: {} }));
    await forever.begun();
    const closing = http.close();
    await node.server.close();
    assert.equal((await call).status, 503);
    await closing;
    await assert.rejects(raw(modern("tools/list")));
  });
});
