/** Containers through the command line: a task of one node runs on another, and nothing outlives a worker that is killed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
const AUTHOR = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
const TOKEN = { MCPP_TOKEN: "a-token-of-the-container-tests-0123456789" };
const task = z.object({
  task: z.looseObject({
    status: z.string(),
    result: z.looseObject({}).nullish(),
    assigned_worker: z.string().nullish(),
  }),
});

/** Whether a program with these words runs on this machine. */
function isRunning(words: string): boolean {
  const lines = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).split("\n");
  return lines.includes(words);
}

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

  it("ends the build of a worker that was killed, at its next start, with all that it began", async () => {
    const [, second] = folders;
    const repository = join(second?.path ?? "", "repository");
    mkdirSync(repository);
    writeFileSync(join(repository, "Dockerfile"), "FROM localhost/box\nRUN sleep 3172\n");
    for (const words of ["init --quiet --initial-branch=main", "add --all", "commit --quiet --message=x"])
      execFileSync("git", ["-C", repository, ...AUTHOR, ...words.split(" ")]);
    const url = `file://${repository}`;
    const args = [...containers(), "--container-build-run", "--container-repository", url];
    const first = await start(second, args);
    await using client = await connect(first.mcp);
    const payload = { repo_url: url };
    await client.callTool("p2p_taskqueue_submit", { task_type: "docker.github", payload, model_name: "" });
    await until("RUN", async () => isRunning("sleep 3172"));
    await first.kill();
    assert.ok(isRunning("sleep 3172"), "it went by itself: the test shows nothing");
    // Until the lease of the one that was killed runs out there is no second attempt, which would sleep as well.
    await start(second, args);
    await until("the end of RUN", async () => !isRunning("sleep 3172"));
    const kept = readdirSync(join(second?.path ?? "", "containers")).filter((name) => name !== "worker-id");
    const built = await engine.docker.listImages({ all: true });
    assert.ok(
      kept.length <= 1 && built.every(({ RepoTags }) => RepoTags?.includes(BOX) ?? false),
      kept.join(" "),
    );
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
