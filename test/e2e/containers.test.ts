/** Containers through the command line: a task of one node runs on another, and nothing outlives a worker that is killed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import type { Client } from "../../src/client/index.ts";
import { HOSTILE } from "../support/hostile.ts";
import { BOX, startEngine, type TestEngine, whyNoEngine } from "../support/engine.ts";
import {
  type NodeProcess,
  spawnMcpp,
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
    error_code: z.string().nullish(),
    attempt: z.int(),
    history: z.array(z.looseObject({ event: z.string() })).default([]),
  }),
});

/** A command that was started. */
interface Command {
  said(stream: "stdout" | "stderr"): string;
  /** Its exit code. */
  readonly ended: Promise<unknown>;
}

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

describe("containers on a remote node", { skip, timeout: 420_000 }, () => {
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
  /** Runs a command. */
  const mcpp = (args: readonly string[]): Command => {
    const child = spawnMcpp(args, folders[0]?.path ?? "", TOKEN);
    const parts = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name]?.on("data", (chunk: Buffer) => (parts[name] += chunk.toString()));
    child.stdin?.end();
    return { said: (name) => parts[name], ended: once(child, "close").then(([code]) => code) };
  };
  const containers = (): readonly string[] => [
    "--containers=on",
    `--container-engine=${engine.socket}`,
    "--container-image=localhost/box",
    "--container-memory=64MiB",
    "--container-tmp=4MiB",
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
    const { result, attempt, history } = await look(client, id);
    assert.equal(result?.["stdout"], "begun\ndone\n");
    assert.equal(attempt, 2);
    assert.equal(history.filter(({ event }) => event === "completed").length, 1);
    await until("nothing is left", async () => (await engine.containers()) === 0);
  });

  it("shows at one node what a container at another writes, while it runs, and ends with its result", async () => {
    const owner = await start(folders[0], ["--workers", "0"]);
    await start(folders[1], ["--work-for", owner.multiaddrs[0] ?? "", ...containers()], "worker");
    const script = "echo one; echo oops >&2; sleep 3; echo two; exit 3";
    const payload = JSON.stringify({ image: BOX, command: ["sh", "-c", script] });
    const cli = mcpp(["submit", "docker.execute", payload, "--follow", "--node", owner.mcp]);
    await until("the first line", async () => cli.said("stdout").includes("one\n"));
    assert.equal(await engine.containers(), 1, "the line came only after the container had ended");
    assert.ok(!cli.said("stdout").includes("two"));
    const code = await cli.ended;
    assert.deepEqual([code, cli.said("stdout")], [2, "one\ntwo\n"]);
    assert.match(cli.said("stderr"), /^oops$/m);
    assert.match(cli.said("stderr"), /exit code 3 \(E_CONTAINER_EXIT\)/);
  });

  it("kills and removes the container of a task that is cancelled at another node, within seconds", async () => {
    const owner = await start(folders[0], ["--workers", "0"]);
    const far = ["--work-for", owner.multiaddrs[0] ?? "", "--lease", "10m", ...containers()];
    await start(folders[1], far, "worker");
    await using client = await connect(owner.mcp);
    const id = await submit(client, ["sleep", "3173"]);
    await until("a container", async () => isRunning("sleep 3173"));
    await pause(1000);
    const cancelledAt = performance.now();
    await client.callTool("p2p_taskqueue_cancel_task", { task_id: id });
    await until("its end", async () => !isRunning("sleep 3173") && (await engine.containers()) === 0);
    const tookMs = performance.now() - cancelledAt;
    // Removing is the engine's business; the next renewal would have come after minutes.
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
  });

  it("keeps a node whole that works for others who want what they must not have, and leaves nothing running", async () => {
    const owner = await start(folders[0], ["--workers", "0"]);
    const allowed = join(folders[1]?.path ?? "", "allowed");
    mkdirSync(allowed);
    const mount = ["--container-mount", allowed];
    const worker = await start(
      folders[1],
      ["--work-for", owner.multiaddrs[0] ?? "", ...containers(), ...mount],
      "worker",
    );
    await using client = await connect(owner.mcp);
    const given = HOSTILE.filter(({ payload }) => !/PORT|ALLOWED\//.test(JSON.stringify(payload)));
    const ids: string[] = [];
    for (const { payload } of given) {
      const text = JSON.stringify({ image: BOX, command: ["true"], ...payload });
      const asked = {
        task_type: "docker.execute",
        model_name: "",
        payload: JSON.parse(text.replaceAll("ALLOWED", allowed)),
        max_attempts: 1,
      };
      const answer = await client.callTool("p2p_taskqueue_submit", asked);
      ids.push(z.object({ task_id: z.string() }).parse(answer.structuredContent).task_id);
    }
    for (const [i, { what, code, out }] of given.entries()) {
      const id = ids[i] ?? "";
      await until(what, async () => ["completed", "failed"].includes((await look(client, id)).status));
      const { status, error_code: found, result } = await look(client, id);
      if (code !== undefined) assert.deepEqual([status, found], ["failed", code], what);
      if (out !== undefined) assert.match(String(result?.["stdout"]), out, what);
    }
    assert.equal(await engine.containers(), 0);
    const well = await submit(client, ["echo", "well"]);
    await until("one more", async () => (await look(client, well)).status === "completed");
    const status = readFileSync(`/proc/${worker.pid}/status`, "utf8");
    const residentKib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
    assert.ok(residentKib < 400 * 1024, `the worker has grown to ${residentKib} KiB`);
    assert.equal(await worker.stop(), 0);
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
