/** A text that is asked for at one node, written by a model of another, and read where it was asked for while it grows. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import type { Client } from "../../src/client/index.ts";
import { connect } from "../../src/connect.ts";
import { event, type ModelServer, piece, startModelServer } from "../support/model-server.ts";
import {
  type NodeProcess,
  startNode,
  temporaryFolder,
  type TemporaryFolder,
} from "../support/node-process.ts";

const KEY = "sk-the-key-of-the-inference-test";
const ENV = { MCPP_TOKEN: "a-token-of-the-inference-test-0123456789", MCPP_INFERENCE_KEY: KEY };
const taskSchema = z.object({
  status: z.string(),
  assigned_worker: z.string().nullish(),
  result: z.looseObject({ progress: z.looseObject({ text: z.string().optional() }).optional() }).nullish(),
});
type Told = z.infer<typeof taskSchema>;

const cleanups: (() => Promise<void> | void)[] = [];

function folder(): TemporaryFolder {
  const made = temporaryFolder();
  cleanups.push(() => made[Symbol.dispose]());
  return made;
}

async function start(args: readonly string[], command = "serve"): Promise<NodeProcess> {
  const options = [
    "--announce-file",
    "off",
    "--mdns",
    "off",
    "--heartbeat",
    "1s",
    "--lease",
    "3s",
    "--log-level",
    "debug",
  ];
  const node = await startNode(folder().path, [...options, ...args], command, { env: ENV });
  cleanups.push(() => node.kill());
  return node;
}

async function startWorker(owner: NodeProcess, server: ModelServer, id: string): Promise<NodeProcess> {
  const at = ["--work-for", owner.multiaddrs[0] ?? "", "--bootstrap", owner.multiaddrs[0] ?? ""];
  return start([...at, "--inference-url", server.url, "--worker-id", id], "worker");
}

async function submit(client: Client, model: string, payload: Record<string, unknown>): Promise<string> {
  const args = { task_type: "text-generation", model_name: model, payload };
  const answer = await client.callTool("p2p_taskqueue_submit", args);
  return z.object({ task_id: z.string() }).parse(answer.structuredContent).task_id;
}

async function look(client: Client, id: string): Promise<Told> {
  const answer = await client.callTool("p2p_taskqueue_get_task", { task_id: id });
  return z.object({ task: taskSchema }).parse(answer.structuredContent).task;
}

/** Waits until the task is as it should be. */
async function until(client: Client, id: string, is: (task: Told) => boolean): Promise<Told> {
  for (let tries = 0; tries < 600; tries++) {
    const task = await look(client, id);
    if (is(task)) return task;
    await pause(50);
  }
  return assert.fail(JSON.stringify(await look(client, id)));
}

describe("a text of a model on another node", { timeout: 120_000 }, () => {
  let small: ModelServer;
  let big: ModelServer;
  let nodes: readonly NodeProcess[];
  let client: Client;

  before(async () => {
    [small, big] = await Promise.all([startModelServer(["small"]), startModelServer(["big"])]);
    const owner = await start(["--workers", "0"]);
    nodes = [owner, await startWorker(owner, small, "has-small"), await startWorker(owner, big, "has-big")];
    client = await connect(owner.mcp);
  });
  after(async () => {
    await client.close();
    for (const cleanup of cleanups.toReversed()) await cleanup();
    await Promise.all([small.stop(), big.stop()]);
  });

  it("is written by the worker that has the model, and grows where it was asked for", async () => {
    let finish: (() => void) | undefined;
    big.next.push((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      event(response, piece("Once upon"));
      finish = () => {
        event(response, piece(" a time", "stop"));
        event(response, "[DONE]");
        response.end();
      };
    });
    const id = await submit(client, "big", { prompt: "A tale", temperature: 0, session_id: "s" });
    const growing = await until(client, id, (task) => task.result?.progress?.text === "Once upon");
    assert.deepEqual([growing.status, growing.assigned_worker], ["running", "has-big"]);
    finish?.();
    const done = await until(client, id, ({ status }) => status === "completed");
    assert.equal(done.result?.["text"], "Once upon a time");
    assert.equal(done.result?.["finish_reason"], "stop");
    assert.equal(small.asked.length, 0);
    assert.equal(big.asked[0]?.authorization, `Bearer ${KEY}`);
    assert.equal(big.asked[0]?.body["temperature"], 0);
    for (const node of nodes) assert.doesNotMatch(node.stderr(), new RegExp(KEY));
  });

  it("is written by the worker that it is for, or by one whose models the asker saw announced", async () => {
    const pinned = await submit(client, "", { prompt: "Hi", sticky_worker_id: "has-small" });
    const there = await until(client, pinned, ({ status }) => status === "completed");
    assert.equal(there.assigned_worker, "has-small");
    // Told with the heartbeats.
    let told = await announced(client);
    for (let tries = 0; tries < 600 && told.length < 2; tries++) {
      await pause(50);
      told = await announced(client);
    }
    assert.deepEqual(told, [["big"], ["small"]]);
  });

  it("ends at the endpoint when its task is cancelled", async () => {
    const number = big.asked.length;
    big.next.push((response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      event(response, piece("endless"));
    });
    const id = await submit(client, "big", { prompt: "x" });
    await until(client, id, (task) => task.result?.progress?.text === "endless");
    await client.callTool("p2p_taskqueue_cancel_task", { task_id: id });
    const asked = await big.request(number);
    await asked.closed;
    assert.equal((await look(client, id)).status, "cancelled");
  });
});

async function announced(client: Client): Promise<readonly (readonly string[])[]> {
  return modelsIn((await client.callTool("list_peers", {})).structuredContent);
}

/** The models that peers announced, by themselves. */
function modelsIn(answer: unknown): readonly (readonly string[])[] {
  const row = z.object({ capabilities: z.object({ models: z.array(z.string()) }).optional() });
  const { peers } = z.object({ peers: z.array(row) }).parse(answer);
  return peers
    .flatMap(({ capabilities }) => (capabilities ? [capabilities.models] : []))
    .toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
}
