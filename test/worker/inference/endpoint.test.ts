/** Tasks that a model behind an HTTP endpoint does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { POLL_MS } from "../../../src/worker/inference/endpoint.ts";
import { MAX_TEXT_CHARS, MAX_TOLD_CHARS } from "../../../src/worker/inference/text-so-far.ts";
import { json, piece, startModelServer } from "../../support/model-server.ts";
import { benches, KEY, PROMPT, raw, until, why } from "./bench.ts";

const bench = benches();

describe("text of an endpoint", { timeout: 60_000 }, () => {
  it("comes with usage and the reason of its end, and is told while it grows", async () => {
    const inference = await bench.now.open();
    const payload = { ...PROMPT, max_tokens: 7, temperature: 0, stop: "." };
    const result = await bench.now.run(inference, "text", payload);
    assert.deepEqual(result, {
      text: "Hello, world",
      model: "m",
      finish_reason: "stop",
      usage: { prompt_tokens: 3, completion_tokens: 3 },
    });
    const [asked] = bench.now.server.asked;
    assert.equal(asked?.path, "/v1/completions");
    assert.deepEqual(asked.body, {
      model: "m",
      prompt: "Say hello",
      max_tokens: 7,
      temperature: 0,
      stop: ["."],
      stream: true,
      stream_options: { include_usage: true },
    });
    assert.deepEqual(
      bench.now.told.flatMap(({ text, text_from: from }) => (text === undefined ? [] : [[text, from]])),
      [
        ["Hello", 0],
        ["Hello, ", 0],
        ["Hello, world", 0],
      ],
    );
  });

  it("has the old system's defaults, and goes as a message where the endpoint knows only chat", async () => {
    const inference = await bench.now.open({ promptAs: "chat" });
    await bench.now.run(inference, "text", { ...PROMPT, temperature: null });
    const [asked] = bench.now.server.asked;
    assert.equal(asked?.path, "/v1/chat/completions");
    assert.deepEqual(asked.body["messages"], [{ role: "user", content: "Say hello" }]);
    assert.deepEqual([asked.body["max_tokens"], asked.body["temperature"]], [128, 0.2]);
  });

  it("carries our key and nothing out of the environment that the openai package reads", async () => {
    Object.assign(process.env, {
      OPENAI_CUSTOM_HEADERS: "X-Custom: leak",
      OPENAI_ORG_ID: "leak",
      OPENAI_BASE_URL: "http://127.0.0.1:1/leak",
    });
    try {
      await bench.now.run(await bench.now.open(), "text", PROMPT);
      const [asked] = bench.now.server.asked;
      assert.equal(asked?.authorization, `Bearer ${KEY}`);
      assert.doesNotMatch(JSON.stringify(asked.headers), /leak|stainless/i);
    } finally {
      for (const name of ["OPENAI_CUSTOM_HEADERS", "OPENAI_ORG_ID", "OPENAI_BASE_URL"])
        Reflect.deleteProperty(process.env, name);
    }
  });

  it("carries no key to any endpoint but the first", async () => {
    await using second = await startModelServer(["other"]);
    const inference = await bench.now.open({ urls: [bench.now.server.url, second.url] });
    const result = await bench.now.run(inference, "text", PROMPT, { model: "other" });
    assert.equal(result["text"], "Hello, world");
    assert.deepEqual(
      second.asked.map(({ authorization }) => authorization),
      [undefined],
    );
  });

  it("is kept to a bound, and the endpoint is not read further", async () => {
    let closed = false;
    bench.now.server.next.push((response, asked) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      void asked.closed.then(() => (closed = true));
      const write = (): void => {
        const goesOn = response.write(`data: ${JSON.stringify(piece("x".repeat(50_000)))}\n\n`);
        if (goesOn) setImmediate(write);
        else response.once("drain", write);
      };
      write();
    });
    const result = await bench.now.run(await bench.now.open(), "text", PROMPT);
    assert.equal(result["truncated"], true);
    assert.equal(result["finish_reason"], "length");
    assert.equal(String(result["text"]).length, MAX_TEXT_CHARS);
    const last = bench.now.told.findLast(({ text }) => text !== undefined);
    assert.equal(String(last?.["text"]).length, MAX_TOLD_CHARS);
    assert.equal(last?.["text_from"], MAX_TEXT_CHARS - MAX_TOLD_CHARS);
    await until(() => closed, "the request is ended");
  });
});

describe("chat and embedding", { timeout: 60_000 }, () => {
  it("gives the next message", async () => {
    const messages = [{ role: "user", content: "hi" }];
    const result = await bench.now.run(await bench.now.open(), "chat", { messages, session_id: "s" });
    assert.deepEqual(result["message"], { role: "assistant", content: "Hello, world" });
    assert.deepEqual(bench.now.server.asked[0]?.body, {
      model: "m",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it("gives a vector for each text, in their order", async () => {
    bench.now.server.next.push((response) =>
      json(response, {
        data: [
          { index: 1, embedding: [0, 1] },
          { index: 0, embedding: [1, 0] },
        ],
        usage: { prompt_tokens: 2, total_tokens: 2 },
      }),
    );
    const result = await bench.now.run(await bench.now.open(), "embedding", { input: ["a", "b"] });
    assert.deepEqual(result["embeddings"], [
      [1, 0],
      [0, 1],
    ]);
    assert.equal(bench.now.server.asked[0]?.body["encoding_format"], "float");
    assert.equal(result["dimensions"], 2);
  });

  for (const [what, answer] of [
    ["fewer vectors than texts", { data: [{ index: 0, embedding: [1] }] }],
    ["words for numbers", { data: [{ index: 0, embedding: ["x"] }] }],
  ] as const) {
    it(`fails with the protocol's class for ${what}`, async () => {
      bench.now.server.next.push((response) => json(response, answer));
      const { error } = await bench.now.run(await bench.now.open(), "embedding", { input: ["a", "b"] });
      assert.equal(why({ error })[0], "E_INFERENCE_PROTOCOL");
    });
  }

  for (const payload of [
    {},
    { prompt: "" },
    { prompt: "x", temperature: -1 },
    { prompt: "x", max_tokens: 0 },
  ])
    it(`refuses ${JSON.stringify(payload)} for good without asking`, async () => {
      const failure = await bench.now.run(await bench.now.open(), "text", payload);
      assert.equal(failure["retry"], false);
      assert.equal(why(failure)[0], "E_INVALID_INPUT");
      assert.equal(bench.now.server.asked.length, 0);
    });
});

describe("the models of an endpoint", { timeout: 60_000 }, () => {
  it("are those that it lists and the policy allows, and change with the list", async () => {
    bench.now.server.models = ["llama3", "llama3-big", "mistral"];
    const inference = await bench.now.open({ models: ["llama3*"] });
    assert.deepEqual(inference.models, ["llama3", "llama3-big"]);
    let changes = 0;
    inference.onChange(() => changes++);
    bench.now.server.models = ["llama4", "llama3"];
    bench.now.clock.jump(POLL_MS);
    await until(() => changes > 0, "news");
    assert.deepEqual(inference.models, ["llama3"]);
  });

  it("are those that the policy names if it has no list", async () => {
    bench.now.server.listStatus = 404;
    const inference = await bench.now.open({ models: ["a", "b*"], defaultModel: "d" });
    assert.deepEqual(inference.models, ["d", "a"]);
    assert.equal((await bench.now.run(inference, "text", PROMPT))["model"], "d");
  });

  it("are none, and no task is taken, while it is down; and come back with it", async () => {
    await bench.now.server.stop();
    const inference = await bench.now.open();
    assert.deepEqual([inference.models, inference.takes("chat")], [[], false]);
    const failure = await bench.now.run(inference, "text", PROMPT);
    assert.equal(why(failure)[0], "E_INFERENCE_UNREACHABLE");
    await bench.now.server.restart();
    bench.now.clock.jump(60_000);
    await until(() => inference.takes("chat"), "it is up again");
    assert.deepEqual(inference.models, ["m"]);
  });

  it("are doubted when a request fails, so that an endpoint that went away is given no more tasks", async () => {
    const inference = await bench.now.open();
    await bench.now.server.stop();
    const running = bench.now.run(inference, "text", PROMPT);
    await until(() => !inference.takes("text-generation"), "it counts as down");
    const failure = await bench.now.clock.autojump(running);
    assert.equal(failure["retry"], true);
  });

  it("take no more tasks at once than the policy says", async () => {
    bench.now.server.next.push(raw("", "hang"));
    const inference = await bench.now.open({ concurrency: 1 });
    const end = new AbortController();
    const first = bench.now.run(inference, "text", PROMPT, { signal: end.signal });
    await bench.now.server.request(0);
    assert.equal(inference.takes("chat"), false);
    const second = bench.now.run(inference, "text", PROMPT);
    end.abort();
    await first;
    assert.equal((await second)["text"], "Hello, world");
    assert.equal(inference.takes("chat"), true);
  });
});
