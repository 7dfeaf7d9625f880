/** Cross-origin requests, as browsers make them. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { OWNER } from "../../src/authority/caller.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { type HttpServer, startHttp } from "../../src/transport/index.ts";
import { openSmallNode, type SmallNode } from "../server/support.ts";
import { echo } from "../server/tools.ts";
import { type Answer, modern, type Raw, raw as rawTo } from "./http-support.ts";

const LISTED = "https://app.example";

let node: SmallNode;
let http: HttpServer;

const raw = (request: Raw): Promise<Answer> => rawTo(http.url, request);

async function start(corsOrigins: readonly string[]): Promise<void> {
  http = await startHttp({
    host: "127.0.0.1",
    port: 0,
    corsOrigins,
    nursery: node.nursery,
    clock: systemClock,
    logger: silentLogger,
    attachModern: (transport) => node.server.serveModern(transport, OWNER),
    attachLegacy: (transport) => node.server.serveLegacySession(transport, OWNER),
  });
}

beforeEach(async () => {
  node = await openSmallNode({ tools: [echo] });
  await start([LISTED]);
});

afterEach(async () => {
  await node.server.close();
  await http.close();
  await node[Symbol.asyncDispose]();
});

const preflight = (origin: string): Raw => ({
  method: "OPTIONS",
  headers: {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, mcp-param-region, x-other",
  },
});

describe("CORS", () => {
  it("answers the preflight of a listed origin", async () => {
    const { status, headers } = await raw(preflight(LISTED));
    assert.equal(status, 204);
    assert.equal(headers["access-control-allow-origin"], LISTED);
    assert.match(headers["access-control-allow-methods"] ?? "", /POST/);
    const allowed = headers["access-control-allow-headers"]?.split(", ") ?? [];
    for (const name of ["content-type", "mcp-session-id", "mcp-method", "mcp-param-region"])
      assert.ok(allowed.includes(name), name);
    assert.ok(!allowed.includes("x-other"));
    assert.equal(headers["access-control-allow-credentials"], undefined);
  });

  it("lets a page of a listed origin call and read the answer", async () => {
    const request = modern("tools/list");
    const answer = await raw({ ...request, headers: { ...request.headers, origin: LISTED } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], LISTED);
    assert.match(answer.headers["access-control-expose-headers"] ?? "", /mcp-session-id/);
    assert.equal(answer.headers["vary"], "origin");
  });

  for (const origin of ["https://other.example", "http://app.example", "https://app.example:8443", "null"])
    it(`refuses ${origin}, which is not listed`, async () => {
      for (const request of [
        preflight(origin),
        { ...modern("tools/list"), headers: { ...modern("tools/list").headers, origin } },
      ]) {
        const answer = await raw(request);
        assert.equal(answer.status, 403);
        assert.equal(answer.headers["access-control-allow-origin"], undefined);
      }
    });

  it("gives loopback origins that are not listed no leave to read", async () => {
    const request = modern("tools/list");
    const answer = await raw({
      ...request,
      headers: { ...request.headers, origin: "http://localhost:3000" },
    });
    assert.equal(answer.headers["access-control-allow-origin"], undefined);
  });

  it("says nothing of origins where none is listed", async () => {
    await http.close();
    await start([]);
    assert.equal((await raw(preflight(LISTED))).status, 403);
    assert.equal((await raw(modern("tools/list"))).headers["vary"], undefined);
  });
});
