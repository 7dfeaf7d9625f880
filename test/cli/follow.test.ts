/** What `--follow` shows of a task, over a real node: each line once, also across the node's restart. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, it } from "node:test";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import type { Client } from "../../src/client/index.ts";
import { finish, mcpp, openHome, start } from "./support/mcpp.ts";

const claimSchema = z.object({ task: z.object({ lease_token: z.int() }).nullable() });
const readySchema = z.object({ url: z.string() });

let home: Awaited<ReturnType<typeof openHome>>;
const nodes: ChildProcess[] = [];

/** Starts a node that does no work itself: the test is its worker. */
async function startNode(port = "0"): Promise<string> {
  const args = ["--json", "--quiet", "--workers", "0"];
  const node = start(home.dir, ["serve", "--port", port, ...args]);
  nodes.push(node);
  const { stdout } = node;
  assert.ok(stdout);
  const [line] = await once(createInterface({ input: stdout }), "line");
  return readySchema.parse(JSON.parse(String(line))).url;
}

async function killNode(): Promise<void> {
  for (const node of nodes.splice(0)) {
    const exit = once(node, "exit");
    node.kill("SIGKILL");
    await exit;
  }
}

/** A worker's side of one task. */
class Work {
  readonly #taskId: string;
  #token = 0;

  constructor(taskId: string) {
    this.#taskId = taskId;
  }

  async claim(client: Client): Promise<void> {
    const answer = await client.call("p2p_taskqueue_claim_next", { worker_id: "w", lease_s: 600 });
    this.#token = claimSchema.parse(answer).task?.lease_token ?? 0;
  }

  async say(client: Client, lines: readonly string[], more: object = {}, stream = "stdout"): Promise<void> {
    const logs = lines.map((message) => ({ stream, message }));
    await client.call("p2p_taskqueue_renew_task", { ...this.#lease, lease_s: 600, logs, ...more });
  }

  async end(client: Client, outcome: object): Promise<void> {
    await client.call("p2p_taskqueue_complete_task", { ...this.#lease, ...outcome });
  }

  get #lease(): { readonly task_id: string; readonly lease_token: number } {
    return { task_id: this.#taskId, lease_token: this.#token };
  }
}

/** Waits until a process has printed `words` from now on. */
async function printed(child: ChildProcess, words: string): Promise<void> {
  const { stdout } = child;
  assert.ok(stdout);
  let text = "";
  await new Promise<void>((resolve, reject) => {
    const listen = (chunk: string | Buffer): void => {
      text += String(chunk);
      if (!text.includes(words)) return;
      stdout.off("data", listen);
      resolve();
    };
    stdout.on("data", listen);
    child.once("close", () => reject(new Error(`it printed no ${words}: ${text}`)));
  });
}

/** Submits a task that the test works on. @returns its id */
async function submit(): Promise<string> {
  const { stdout } = await mcpp(home.dir, ["submit", "t", "--json"]);
  return z.object({ task_id: z.string() }).parse(JSON.parse(stdout)).task_id;
}

describe("following a task", { timeout: 90_000 }, () => {
  let url = "";
  before(async () => {
    home = await openHome();
    url = await startNode();
  });
  after(async () => {
    await killNode();
    await home.close();
  });
  afterEach(() => assert.equal(nodes.length, 1));

  it("prints each stream where it belongs and ends with the result, also when the node is killed in between", async () => {
    const id = await submit();
    const work = new Work(id);
    const child = start(home.dir, ["wait", id, "--follow"]);
    const finished = finish(child);
    const first = await connect(url);
    await work.claim(first);
    await work.say(first, ["one", "two"]);
    await work.say(first, ["oops"], { progress: { phase: "half" } }, "stderr");
    await printed(child, "two");
    await first.close();
    await killNode();
    url = await startNode(new URL(url).port);
    await using second = await connect(url);
    await work.say(second, ["three"]);
    await work.end(second, { status: "completed", result: { n: 1 } });
    const { code, stdout, stderr } = await finished;
    assert.equal(code, 0, stderr);
    const [one, two, three, ...result] = stdout.split("\n");
    assert.deepEqual([one, two, three], ["one", "two", "three"]);
    assert.deepEqual(z.object({ n: z.int() }).parse(JSON.parse(result.join("\n"))), { n: 1 });
    assert.equal(stderr.split("oops").length, 2, stderr);
    assert.match(stderr, /phase=half/);
  });

  it("prints lines of JSON with --json, and a failed task is the command's failure", async () => {
    const id = await submit();
    const work = new Work(id);
    await using client = await connect(url);
    await work.claim(client);
    await work.say(client, ["one"]);
    for (const [text, text_from] of [
      ["Hello", 0],
      ["lo, wor", 3],
      ["wor\nld", 7],
    ] as const)
      await work.say(client, [], { progress: { phase: "generating", text, text_from } });
    const child = start(home.dir, ["wait", id, "--follow", "--json"]);
    const finished = finish(child);
    await printed(child, '"text"');
    await work.say(client, [], { progress: { text: "wor\nld!", text_from: 7 } });
    await printed(child, "!");
    await work.end(client, { status: "failed", error: "no luck" });
    const { code, stdout } = await finished;
    assert.equal(code, 2);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => z.looseObject({}).parse(JSON.parse(line)));
    const told = events.map(({ event, message, text, chars, ok, status }) => [
      event ?? ok,
      message ?? text ?? chars ?? status,
    ]);
    assert.deepEqual(told, [
      ["status", "running"],
      ["log", "one"],
      ["missed", 7],
      ["text", "wor\nld"],
      ["progress", undefined],
      ["text", "!"],
      ["status", "failed"],
      [false, undefined],
    ]);
  });

  it("shows the lines of a task that has ended, and refuses an unknown one", async () => {
    const id = await submit();
    const work = new Work(id);
    await using client = await connect(url);
    await work.claim(client);
    await work.say(client, ["late"]);
    await work.end(client, { status: "completed", result: {} });
    const { code, stdout } = await mcpp(home.dir, ["wait", id, "--follow"]);
    assert.deepEqual([code, stdout.split("\n")[0]], [0, "late"]);
    const unknown = await mcpp(home.dir, ["wait", "0".repeat(32), "--follow"]);
    assert.equal(unknown.code, 1);
  });
});
