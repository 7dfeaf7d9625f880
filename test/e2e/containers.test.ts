/** Containers through the command line: a task of one node runs on another, and nothing outlives a worker that is killed. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import type { Client } from "../../src/client/index.ts";
import { BOX, startEngine, type TestEngine, whyNoEngine } from "../support/engine.ts";
import {
  type NodeProcess,
  startNode,
  temporaryFolder,
  type TemporaryFolder,
} from "../support/node-process.ts";

const skip = whyNoEngine() ?? false;
const TOKEN = { MCPP_TOKEN: "a-token-of-the-container-tests-0123456789" };
const task = z.object({
  task: z.looseObject({
    status: z.string(),
    result: z.looseObject({}).nullish(),
    assigned_worker: z.string().nullish(),
  }),
});

/** Submits a container run. @returns the id of its task */
async function submit(client: Client, command: readonly string[]): Promise<string> {
  const answer = await client.callTool("p2p_taskqueue_submit_docker_hub", {
    image: BOX,
    command: [...command],
  });
  return z.object({ task_id: z.string() }).parse(answer.structuredContent).task_id;
}

/** A task as its queue tells it. */
async function look(client: Client, id: string): Promise<z.infer<typeof task>["task"]> {
  const answer = await client.callTool("p2p_taskqueue_get_task", { task_id: id });
  return task.parse(answer.structuredContent).task;
}

/** Waits until `is` holds. */
async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (await is()) return;
    await pause(100);
  }
  assert.fail(`it did not come to this: ${what}`);
}

describe("containers on a remote node", { skip, timeout: 180_000 }, () => {
  let engine: TestEngine;
  let folders: TemporaryFolder[];
  const nodes: NodeProcess[] = [];

  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  beforeEach(() => {
    folders = [temporaryFolder(), temporaryFolder()];
  });
  afterEach(async () => {
    for (const node of nodes.splice(0)) await node.kill();
    for (const folder of folders) folder[Symbol.dispose]();
  });

  const start = async (
    folder: TemporaryFolder | undefined,
    args: readonly string[],
    command = "serve",
  ): Promise<NodeProcess> => {
    const options = ["--announce-file", "off", "--mdns", "off", "--lease", "3s"];
    const node = await startNode(folder?.path ?? "", [...options, ...args], command, { env: TOKEN });
    nodes.push(node);
    return node;
  };
  const containers = (): readonly string[] => [
    "--containers=on",
    `--container-engine=${engine.socket}`,
    "--container-image=localhost/box",
    "--container-memory=64MiB",
    "--container-pull=never",
  ];

  it("removes the container of a worker that was killed, at its next start, and the task is done once", async () => {
    const owner = await start(folders[0], ["--workers", "0"]);
    const worker = ["--work-for", owner.multiaddrs[0] ?? "", ...containers()];
    const first = await start(folders[1], worker, "worker");
    await using client = await connect(owner.mcp);
    // Long the first time, short for whoever takes over.
    const id = await submit(client, ["sh", "-c", "echo begun; sleep 8; echo done"]);
    await until("a container", async () => (await engine.containers()) === 1);
    const [orphan] = await engine.docker.listContainers();
    await first.kill();
    assert.equal(await engine.containers(), 1, "it went by itself: the test shows nothing");
    await start(folders[1], worker, "worker");
    const left = await engine.docker.listContainers({ all: true });
    assert.ok(
      left.every(({ Id }) => Id !== orphan?.Id),
      "the old container is still there",
    );
    await until("the end", async () => (await look(client, id)).status === "completed");
    const { result } = await look(client, id);
    assert.equal(result?.["stdout"], "begun\ndone\n");
    await until("nothing is left", async () => (await engine.containers()) === 0);
  });

  it("does not take container tasks unless it is told to", async () => {
    const owner = await start(folders[0], []);
    await using client = await connect(owner.mcp);
    const id = await submit(client, ["true"]);
    await client.callTool("p2p_taskqueue_submit", { task_type: "echo", model_name: "", payload: {} });
    await pause(500);
    assert.equal((await look(client, id)).status, "queued");
  });
});
