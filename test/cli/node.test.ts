import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import { finish, type Finished, mcpp, openHome, start } from "./support/mcpp.ts";

const readySchema = z.object({
  ok: z.literal(true),
  ready: z.literal(true),
  peer_id: z.string(),
  url: z.string(),
  multiaddrs: z.array(z.string()),
  data_dir: z.string(),
  pid: z.int(),
});
const receiptSchema = z.object({ ok: z.literal(true), task_id: z.string() });
const taskSchema = z.object({
  ok: z.literal(true),
  task: z.object({ status: z.string(), result: z.unknown() }),
});
const failureSchema = z.object({ ok: z.literal(false), error_code: z.string(), hint: z.string().optional() });

const resumableSchema = failureSchema.extend({ task_id: z.string(), resume: z.string() });

let home: Awaited<ReturnType<typeof openHome>>;
let node: ChildProcess;
let ready: z.infer<typeof readySchema>;

before(async () => {
  home = await openHome();
  node = start(home.dir, ["serve", "--port", "0", "--json", "--quiet"]);
  ready = readySchema.parse(JSON.parse(await firstLine(node)));
});
after(async () => {
  node.kill("SIGKILL");
  await home.close();
});

const run = (...args: string[]): Promise<Finished> => mcpp(home.dir, args);

/** A task that nobody takes. */
async function submitUntaken(): Promise<string> {
  const { stdout } = await run("submit", "nobody-does-this", "--json");
  return receiptSchema.parse(JSON.parse(stdout)).task_id;
}

describe("commands of a running node", { concurrency: 3 }, () => {
  it("find it by its data folder, and print a submitted task's result alone on standard output", async () => {
    const { code, stdout, stderr } = await run("submit", "echo", '{"hello":"world"}', "--wait");
    assert.equal(code, 0, stderr);
    assert.match(JSON.stringify(JSON.parse(stdout)), /"hello":"world"/);
    assert.match(stderr, /^task [0-9a-f]{32}$/m);
  });

  it("give one line of JSON with --json, and nothing on standard error with --quiet", async () => {
    const { stdout, stderr } = await run("submit", "echo", "--wait", "--json", "--quiet");
    assert.equal(stdout.split("\n").length, 2);
    assert.equal(taskSchema.parse(JSON.parse(stdout)).task.status, "completed");
    assert.equal(stderr, "");
  });

  it("give the same task for the same key", async () => {
    const first = await run("submit", "echo", "--key", "k1", "--quiet");
    const second = await run("submit", "echo", "--key", "k1", "--quiet");
    assert.match(first.stdout, /^[0-9a-f]{32}\n$/);
    assert.equal(second.stdout, first.stdout);
    const other = await run("submit", "echo", '{"other":1}', "--key", "k1", "--json");
    assert.equal(other.code, 1);
    assert.equal(failureSchema.parse(JSON.parse(other.stdout)).error_code, "E_IDEMPOTENCY_CONFLICT");
  });

  it("run a workflow file and print its output, or say where the file is wrong", async () => {
    const file = join(home.dir, "flow.yaml");
    const step = "steps: [{ id: a, task: echo, payload: { to: '${{ inputs.who }}' } }]";
    await writeFile(
      file,
      `name: hello\ninputs: { who: {} }\n${step}\noutput: "\${{ steps.a.result.echo.to }}!"\n`,
    );
    const { code, stdout, stderr } = await run("flow", "run", file, "who=world", "--follow");
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout), "world!");
    assert.match(stderr, /^run ([0-9a-f]{32})$[^]*^a: completed$/m);
    const [, runId = ""] = /^run ([0-9a-f]{32})$/m.exec(stderr) ?? [];
    assert.match((await run("flow", "replay", runId)).stdout, /all the same/);
    await writeFile(file, `name: hello\n${step}\n`);
    const wrong = await run("flow", "check", file);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /flow\.yaml:2:45: unknown-reference: .*no input 'who'/);
  });

  it("exit 6 when the time is up, with the id and the command that goes on waiting", async () => {
    const id = await submitUntaken();
    const flags = ["--data-dir", join(home.dir, "data"), "--timeout", "200ms"];
    const { code, stdout, stderr } = await run("wait", id, ...flags, "--json");
    assert.equal(code, 6, stderr);
    const { task_id, resume } = resumableSchema.parse(JSON.parse(stdout));
    assert.deepEqual([task_id, resume], [id, `mcpp wait ${id} ${flags.join(" ")}`]);
    assert.ok(stderr.includes(`wait again: ${resume}`), stderr);
  });

  it("exit 2 when the task was cancelled or failed, with the reason", async () => {
    const id = await submitUntaken();
    const cancelled = await run("cancel", id, "--reason", "not needed");
    assert.equal(cancelled.code, 0, cancelled.stderr);
    const { code, stdout, stderr } = await run("wait", id, "--json");
    assert.equal(code, 2);
    assert.equal(resumableSchema.parse(JSON.parse(stdout)).task_id, id);
    assert.match(stderr, /cancelled: not needed/);
    const again = await run("cancel", id, "--json");
    assert.equal(failureSchema.parse(JSON.parse(again.stdout)).error_code, "E_TASK_FINISHED");
  });

  it("exit 1 for a task that the queue does not know", async () => {
    const { code, stdout } = await run("wait", "0".repeat(32), "--json");
    assert.equal(code, 1);
    assert.equal(failureSchema.parse(JSON.parse(stdout)).error_code, "E_TASK_NOT_FOUND");
  });

  it("exit 130 when interrupted, and say how to go on", async () => {
    const child = start(home.dir, ["submit", "nobody-does-this", "--wait", "--json"]);
    const finished = finish(child);
    assert.ok(child.stderr);
    await until(child.stderr, /task [0-9a-f]{32}/);
    child.kill("SIGINT");
    const { code, stdout, stderr } = await finished;
    assert.equal(code, 130, stderr);
    const failure = resumableSchema.parse(JSON.parse(stdout));
    assert.equal(failure.error_code, "E_CANCELLED");
    assert.equal(failure.resume, `mcpp wait ${failure.task_id}`);
    assert.match(stderr, new RegExp(`wait again: mcpp wait ${failure.task_id}`));
  });

  it("list tasks as lines of six columns for other programs", async () => {
    const id = await submitUntaken();
    const { code, stdout } = await run("tasks", "--type", "nobody-does-this", "--state", "queued");
    assert.equal(code, 0);
    const line = stdout.split("\n").find((text) => text.startsWith(id));
    assert.deepEqual(line?.split("\t").slice(0, 5), [id, "queued", "nobody-does-this", "0/3", "-"]);
  });

  it("page through tasks by cursor", async () => {
    await submitUntaken();
    await submitUntaken();
    const pageSchema = z.object({
      tasks: z.array(z.object({ task_id: z.string() })),
      next_cursor: z.string().nullable(),
    });
    const first = pageSchema.parse(JSON.parse((await run("tasks", "--limit", "1", "--json")).stdout));
    assert.equal(first.tasks.length, 1);
    const second = pageSchema.parse(
      JSON.parse((await run("tasks", "--limit", "1", "--cursor", first.next_cursor ?? "", "--json")).stdout),
    );
    assert.notEqual(second.tasks[0]?.task_id, first.tasks[0]?.task_id);
  });

  it("keep values in the shared cache, and exit 1 without output for one that is not there", async () => {
    const missed = await run("cache", "get", "k");
    assert.deepEqual([missed.code, missed.stdout], [1, ""]);
    assert.match(missed.stderr, /no entry 'k'/);
    const json = await run("cache", "has", "k", "--json");
    assert.equal(failureSchema.parse(JSON.parse(json.stdout)).error_code, "E_CACHE_MISS");
    assert.equal((await run("cache", "set", "k", '{"a":1}', "--ttl", "10m")).code, 0);
    assert.deepEqual(JSON.parse((await run("cache", "get", "k")).stdout), { a: 1 });
    assert.equal((await run("cache", "has", "k")).stdout, "yes\n");
    assert.match((await run("cache", "stats")).stdout, /^entries\t1$/m);
    assert.equal((await run("cache", "delete", "k")).stdout, "deleted k\n");
    assert.deepEqual(await run("cache", "delete", "k"), { code: 0, stdout: "there was no k\n", stderr: "" });
  });

  it("list tools and show a schema", async () => {
    assert.match((await run("tools")).stdout, /^p2p_taskqueue_submit\t/m);
    const { stdout } = await run("tools", "--schema", "p2p_taskqueue_submit");
    assert.match(stdout, /"task_type"/);
    const unknown = await run("tools", "--schema", "p2p_taskqueue_sumbit");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /did you mean p2p_taskqueue_submit/);
  });

  it("call a tool with words or JSON, and exit 5 if it reports an error", async () => {
    const { code, stdout } = await run("call", "p2p_taskqueue_list_tasks", "limit=1", "--json");
    assert.equal(code, 0);
    const answer = z.object({
      tool: z.string(),
      structured_content: z.object({ tasks: z.array(z.unknown()) }),
    });
    assert.equal(answer.parse(JSON.parse(stdout)).structured_content.tasks.length, 1);
    const failed = await run("call", "p2p_taskqueue_cancel_task", "task_id=unknown");
    assert.equal(failed.code, 5, failed.stderr);
  });

  it("exit 5 for a tool that is not there and for arguments that it does not take, with its words", async () => {
    for (const [words, said] of [
      [["no_such_tool"], /no_such_tool/],
      [["p2p_taskqueue_wait_task", "task_id=7", "nonsense=1"], /task_id|nonsense/],
    ] as const) {
      const { code, stdout, stderr } = await run("call", ...words, "--json");
      assert.equal(code, 5, stderr);
      assert.equal(failureSchema.parse(JSON.parse(stdout)).error_code, "E_TOOL_FAILED");
      assert.match(stderr, said);
    }
  });

  it("say what the node is", async () => {
    const { stdout } = await run("status");
    assert.match(stdout, new RegExp(`^node\t${ready.url}$`, "m"));
    assert.match(stdout, new RegExp(`^peer_id\t${ready.peer_id}$`, "m"));
    assert.equal((await run("id")).stdout.trim(), ready.peer_id);
    assert.equal((await run("peers", "--json")).code, 0);
  });

  it("reach it by its multiaddr as well", async () => {
    const { code, stdout, stderr } = await run(
      "submit",
      "echo",
      "--wait",
      "--quiet",
      "--node",
      ready.multiaddrs[0] ?? "",
    );
    assert.equal(code, 0, stderr);
    assert.notEqual(stdout, "");
  });
});

describe("the node of a data folder", { concurrency: 3 }, () => {
  it("is reached over libp2p if it serves no HTTP, and no other node instead of it", async () => {
    const worker = start(home.dir, ["worker", "--work-for", "discovered", "--json", "--data-dir", "w"]);
    try {
      const { peer_id: peerId } = z
        .object({ peer_id: z.string() })
        .parse(JSON.parse(await firstLine(worker)));
      const { code, stdout, stderr } = await run("status", "--data-dir", "w");
      assert.equal(code, 0, stderr);
      assert.match(stdout, new RegExp(`^node\t/ip4/.*${peerId}$`, "m"));
      assert.match(stdout, new RegExp(`^peer_id\t${peerId}$`, "m"));
    } finally {
      worker.kill("SIGKILL");
    }
  });

  it("is not taken to be the one on the configured port, unless that has its identity", async () => {
    const port = new URL(ready.url).port;
    assert.equal((await run("id", "--data-dir", "other")).code, 0);
    for (const dir of ["other", "never-used"]) {
      const { code, stdout, stderr } = await mcpp(home.dir, ["status", "--data-dir", dir, "--json"], {
        MCPP_PORT: port,
      });
      assert.equal(code, 4, stdout);
      assert.match(stderr, new RegExp(`no node runs in the data folder .*/${dir}`));
      assert.match(stderr, new RegExp(`mcpp serve --data-dir .*/${dir}`));
    }
  });

  it("is waited for through its end and its start elsewhere", async () => {
    const serve = ["serve", "--port", "0", "--json", "--quiet", "--data-dir", "k"];
    const first = start(home.dir, [...serve, "--workers", "0"]);
    await firstLine(first);
    const submitting = start(home.dir, ["submit", "echo", "--wait", "--data-dir", "k", "--timeout", "60s"]);
    const finished = finish(submitting);
    assert.ok(submitting.stderr);
    await until(submitting.stderr, /task [0-9a-f]{32}/);
    first.kill("SIGKILL");
    await until(submitting.stderr, /the wait goes on/);
    const second = start(home.dir, serve);
    try {
      const { code, stderr } = await finished;
      assert.equal(code, 0, stderr);
    } finally {
      second.kill("SIGKILL");
    }
  });

  it("that does not come back in the wait's time is exit 4, with the id and the command that goes on", async () => {
    const serve = ["serve", "--port", "0", "--json", "--quiet", "--data-dir", "g", "--workers", "0"];
    const child = start(home.dir, serve);
    await firstLine(child);
    const submitting = start(home.dir, "submit echo --wait --json --data-dir g --timeout 3s".split(" "));
    const finished = finish(submitting);
    assert.ok(submitting.stderr);
    await until(submitting.stderr, /task [0-9a-f]{32}/);
    child.kill("SIGKILL");
    const { code, stdout, stderr } = await finished;
    assert.equal(code, 4, stderr);
    const { task_id, resume } = resumableSchema.parse(JSON.parse(stdout));
    assert.equal(resume, `mcpp wait ${task_id} --data-dir g --timeout 3s`);
    assert.ok(stderr.includes(resume));
  });

  it("lends its identity to commands while it does not run, so that allow-lists know them", async () => {
    const known = (await run("id", "--data-dir", "mine")).stdout.trim();
    const at = ["--node", ready.multiaddrs[0] ?? "", "--data-dir", "mine", "--json"];
    const peers = await run("peers", ...at);
    assert.equal(peers.code, 0, peers.stderr);
    assert.ok(peers.stdout.includes(known), peers.stdout);
  });
});

describe("mcpp serve", () => {
  it("names the setting that has a port in use", async () => {
    const { code, stderr } = await mcpp(home.dir, ["serve", "--data-dir", "p"], {
      MCPP_PORT: new URL(ready.url).port,
    });
    assert.equal(code, 1);
    assert.match(stderr, /MCPP_PORT cannot be used: HTTP port \d+ is already in use/);
  });

  it("refuses a data folder that another node has, naming that node", async () => {
    const { code, stderr } = await run("serve", "--port", "0");
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`pid ${ready.pid}\\b`));
    assert.match(stderr, /MCPP_DATA_DIR/);
  });

  it("says on standard error how it is reached, and exits 0 when asked to end", async () => {
    const other = await openHome();
    try {
      const child = start(other.dir, ["serve", "--port", "0"]);
      const finished = finish(child);
      if (child.stderr) await until(child.stderr, /add it/);
      child.kill("SIGTERM");
      const { code, stdout, stderr } = await finished;
      assert.equal(code, 0, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, /^peer id {3}12D3KooW/m);
      assert.match(stderr, /^MCP {7}http:\/\/127\.0\.0\.1:\d+\/mcp$/m);
      assert.match(stderr, /^listening \/ip4\/127\.0\.0\.1\/tcp\/\d+/m);
    } finally {
      await other.close();
    }
  });
});

async function firstLine(child: ChildProcess): Promise<string> {
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  assert.ok(child.stdout);
  const lines = createInterface({ input: child.stdout });
  const [line]: unknown[] = await Promise.race([once(lines, "line"), once(child, "exit")]);
  assert.equal(typeof line, "string", errors);
  return String(line);
}

/** Waits until the stream has said what `pattern` matches. */
async function until(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<void> {
  let text = "";
  while (!pattern.test(text)) {
    const [chunk]: unknown[] = await once(stream, "data");
    text += String(chunk);
  }
}
