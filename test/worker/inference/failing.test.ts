/** What becomes of a task when the endpoint of its model does something wrong. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Answer, json, piece, refuses, startModelServer } from "../../support/model-server.ts";
import { benches, KEY, PROMPT, raw, until, why } from "./bench.ts";

const bench = benches();

/** Refuses once with this header: no request comes too soon, and one comes then. */
async function wait(header: string, tooSoonMs: number, thenMs: number): Promise<void> {
  bench.now.server.next.push(refuses(429, "slow down", { "retry-after": header }));
  const running = bench.now.run(await bench.now.open(), "text", PROMPT);
  await until(() => bench.now.told.some(({ phase }) => phase === "waiting"), "it waits");
  bench.now.clock.jump(tooSoonMs);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(bench.now.server.asked.length, 1);
  bench.now.clock.jump(thenMs);
  assert.equal((await running)["text"], "Hello, world");
}

describe("an endpoint that has too much to do", { timeout: 60_000 }, () => {
  it("is asked again after the seconds that it names", () => wait("7", 6900, 1000));

  it("is asked again at the date that it names", () =>
    wait(new Date(bench.now.clock.epochMs() + 8000).toUTCString(), 7900, 1000));

  it("gets its task from the queue again if it names a long time", async () => {
    bench.now.server.next.push(refuses(503, "restarting", { "retry-after": "120" }));
    const failure = await bench.now.run(await bench.now.open(), "text", PROMPT);
    assert.deepEqual([failure["retry"], failure["retryAfterMs"]], [true, 120_000]);
    assert.equal(bench.now.server.asked.length, 1);
  });

  it("is asked a few times and no more, with growing pauses", async () => {
    bench.now.server.answer = refuses(503, "overloaded");
    const running = bench.now.run(await bench.now.open(), "text", PROMPT);
    const failure = await bench.now.through(running, 4);
    assert.equal(bench.now.server.asked.length, 4);
    assert.equal(failure["retry"], true);
    assert.equal(why(failure)[1], "unavailable");
  });
});

describe("an endpoint that refuses", { timeout: 60_000 }, () => {
  for (const [status, code, failureClass] of [
    [401, "E_INFERENCE_DENIED", "denied"],
    [403, "E_INFERENCE_DENIED", "denied"],
    [404, "E_MODEL_NOT_FOUND", "not-found"],
    [400, "E_INFERENCE_REFUSED", "invalid"],
    [413, "E_INFERENCE_REFUSED", "invalid"],
  ] as const) {
    it(`with ${status} fails the task for good, and its words never repeat the key`, async () => {
      bench.now.server.next.push(refuses(status, `wrong: ${KEY} ${"x".repeat(5000)}`));
      const failure = await bench.now.run(await bench.now.open(), "text", PROMPT);
      assert.equal(failure["retry"], false);
      assert.deepEqual(why(failure), [code, failureClass]);
      assert.equal(bench.now.server.asked.length, 1);
      assert.match(JSON.stringify(failure), /wrong: \[hidden\]/);
      assert.ok(JSON.stringify(failure).length < 1000);
      assert.doesNotMatch(JSON.stringify(failure) + bench.now.log.join(""), new RegExp(KEY));
    });
  }

  it("a model that it does not have is not asked for", async () => {
    const failure = await bench.now.run(await bench.now.open(), "text", PROMPT, { model: "other" });
    assert.equal(why(failure)[0], "E_MODEL_NOT_FOUND");
    assert.equal(bench.now.server.asked.length, 0);
  });

  it("is not followed elsewhere", async () => {
    await using elsewhere = await startModelServer();
    bench.now.server.answer = (response) =>
      response.writeHead(307, { location: `${elsewhere.url}/completions` }).end();
    const running = bench.now.run(await bench.now.open(), "text", PROMPT);
    await bench.now.through(running, 4);
    assert.equal(elsewhere.asked.length, 0);
  });
});

describe("a stream that is not what it should be", { timeout: 60_000 }, () => {
  const partly = `data: ${JSON.stringify(piece("half"))}\n\n`;
  for (const [what, answer] of [
    ["is cut", raw(partly, "cut")],
    ["ends before the text does", raw(partly)],
  ] as const)
    it(`that ${what} is asked for again, and its text begins anew`, async () => {
      bench.now.server.next.push(answer);
      const running = bench.now.run(await bench.now.open(), "text", PROMPT);
      const result = await bench.now.through(running, 2);
      assert.equal(result["text"], "Hello, world");
      assert.ok(bench.now.told.some(({ phase, text }) => phase === "starting again" && text === ""));
    });

  for (const [what, answer, code] of [
    ["has events that are no JSON", raw("data: {oops\n\n"), "E_INFERENCE_PROTOCOL"],
    ["has events of another shape", raw('data: {"choices":"none"}\n\n'), "E_INFERENCE_PROTOCOL"],
    ["is no stream", (response) => json(response, { choices: [] }), "E_INFERENCE_PROTOCOL"],
    ["is a page", raw("<html>login</html>"), "E_INFERENCE_PROTOCOL"],
    [
      "tells an error in its middle",
      raw(`${partly}data: {"error":{"message":"out of memory"}}\n\n`),
      "E_INFERENCE_FAILED",
    ],
  ] as const satisfies readonly (readonly [string, Answer, string])[])
    it(`that ${what} fails the attempt with ${code}`, async () => {
      bench.now.server.next.push(answer);
      const failure = await bench.now.run(await bench.now.open(), "text", PROMPT);
      assert.equal(why(failure)[0], code);
      assert.equal(failure["retry"], true);
      assert.equal(bench.now.server.asked.length, 1);
    });

  it("that hangs ends with the task's time, with what there was of the text", async () => {
    bench.now.server.next.push(raw(partly, "hang"));
    const running = bench.now.run(await bench.now.open(), "text", { ...PROMPT, timeout_s: 5 });
    await until(() => bench.now.told.some(({ text }) => text === "half"), "half the text");
    bench.now.clock.jump(5000);
    const failure = await running;
    assert.deepEqual(failure["result"], { text: "half" });
    assert.equal(why(failure)[0], "E_INFERENCE_TIMEOUT");
    assert.equal(failure["retry"], false);
    await bench.now.server.asked[0]?.closed;
  });

  it("that hangs before its first word is ended when the task is cancelled", async () => {
    bench.now.server.next.push(() => undefined);
    const end = new AbortController();
    const running = bench.now.run(await bench.now.open(), "text", PROMPT, { signal: end.signal });
    const asked = await bench.now.server.request(0);
    end.abort();
    await running;
    await asked.closed;
  });
});
