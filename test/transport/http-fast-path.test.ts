/** The fast path of plain tool calls: it answers what the SDK's server answers, byte for byte, and nothing else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import * as z from "zod";
import { isJsonObject } from "../../src/content/json.ts";
import { KEEP_ALIVE_MS } from "../../src/transport/http.ts";
import { settled, TestClock } from "../support/clock.ts";
import { STRANGER } from "../server/support.ts";
import { aborted, echo, type Endless, endless } from "../server/tools.ts";
import { call, edited, mutated, OTHER, PLAIN, schemaOf, tools } from "./http-corpus.ts";
import { ask, type Endpoint, openEndpoint } from "./http-pair.ts";
import { META, type Raw, raw } from "./http-support.ts";

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
  const callsBefore = one.fastCalls();
  const [quick, plain] = [await ask(one, request), await ask(other, request)];
  assert.deepEqual(quick, plain);
  return one.fastCalls() - callsBefore;
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
    const callsBefore = fast.fastCalls();
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
    assert.equal(fast.fastCalls() - callsBefore, 200);
  });
});

/** An endpoint that has seen its client's envelope, so that the next call takes the fast path. */
async function openKnown(deadlineMs: number, clock = new TestClock()): Promise<[Endpoint, Endless]> {
  const forever = endless(deadlineMs);
  const endpoint = await openEndpoint({ tools: [echo, forever.tool], clock }, true);
  await raw(endpoint.http.url, call("echo", { text: "hi" }));
  return [endpoint, forever];
}

describe("a plain tool call past the SDK that takes long", () => {
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
