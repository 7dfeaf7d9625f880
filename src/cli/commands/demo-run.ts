/** The demonstration: three nodes, many durable tool calls, a worker killed while it holds some of them. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../client/client.ts";
import { connect } from "../../connect.ts";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { DeadlineError, TaskFailedError, UnreachableError } from "../../errors.ts";
import {
  abortable,
  failAfter,
  Limiter,
  moveOnAfter,
  openNursery,
  shield,
  sleep,
} from "../../nursery/index.ts";
import type { Output } from "../output.ts";
import { rows, text } from "../tasks.ts";
import { type DemoNode, startDemoNode } from "./demo-node.ts";
import { type DemoReport, type Followed, progressTable, report, reportText } from "./demo-report.ts";

/** How long a killed worker's tasks wait for another one. */
const LEASE = "3s";
/** How many tasks each worker does at once. */
const AT_ONCE = 4;
/** The queue is asked this often how far it is. */
const LOOK_EVERY_MS = 250;
/** The worker is killed when this share of the tasks is done. */
const KILL_AT_SHARE = 0.3;
/** It must hold at least this many, so that there is something to take over. */
const KILL_HOLDING = 2;
/** A task is waited for in slices, each well below any limit between. */
const WAIT_S = 20;
/** A task of the demonstration takes at most 3 s; beyond this something is wrong. */
const PER_TASK_MS = 3000;
/** Submits under way at once: as many as a browser would have. */
const SUBMITS_AT_ONCE = 16;
/** The longest page that a queue gives. */
const PAGE = 1000;
const CLEAN_UP_MS = 10_000;

/** The two workers; the first one is killed. */
const VICTIM = "B";
const SURVIVOR = "C";
const WORKERS: readonly string[] = [VICTIM, SURVIVOR];

/**
 * Runs the demonstration and prints what it has proven.
 *
 * @throws UnreachableError if the mounted server is not installed or a node does not start, TaskFailedError if a task
 *   was lost or done twice; whatever happens, the nodes are ended and their folder is removed
 */
export async function runDemo(count: number, out: Output): Promise<void> {
  const mount = everythingServer();
  const folder = await mkdtemp(join(tmpdir(), "mcpp-demo-"));
  let result: DemoReport | undefined;
  try {
    await openNursery(async (nursery) => {
      const start = (name: string, args: readonly string[]): Promise<DemoNode> =>
        startDemoNode(nursery, { name, args: [...args, ...commonFlags(folder, name)], env: environment });
      const environment = await makeEnvironment(folder);
      out.note(
        "starting three nodes: A takes the tasks; B and C find it through its announce file and work for it",
      );
      const a = await start("A", ["serve", "--port", "0", "--workers", "0"]);
      const work = [
        "worker",
        "--work-for",
        "discovered",
        "--workers",
        String(AT_ONCE),
        "--lease",
        LEASE,
        "--mount",
        `everything=${mount}`,
      ];
      const [b] = await Promise.all(WORKERS.map((name) => start(name, [...work, "--worker-id", name])));
      const { url } = a;
      if (url === undefined || b === undefined) throw new UnreachableError("node A serves no HTTP");
      const client = await abortable((signal) => connect(url, { signal, token: environment["MCPP_TOKEN"] }));
      try {
        result = await runTasks({ client, count, victim: b, out });
      } finally {
        await shield(CLEAN_UP_MS, () => client.close());
      }
      nursery.cancel("the demonstration is over");
    });
  } finally {
    await shield(CLEAN_UP_MS, () => rm(folder, { recursive: true, force: true }));
  }
  if (result) conclude(result, out);
}

interface Stage {
  readonly client: Client;
  readonly count: number;
  readonly victim: DemoNode;
  readonly out: Output;
}

async function runTasks(stage: Stage): Promise<DemoReport> {
  const { client, count, victim, out } = stage;
  const startedAt = performance.now();
  const followed: Followed[] = [];
  const submitted: string[] = [];
  const limiter = new Limiter(SUBMITS_AT_ONCE);
  const deadlineMs = 60_000 + (count * PER_TASK_MS) / AT_ONCE;
  out.note(`submitting ${count} durable tool calls at A, through MCP`);
  await failAfter(deadlineMs, () =>
    openNursery(async (nursery) => {
      for (let index = 0; index < count; index++) {
        nursery.startSoon(async () => {
          const submittedAt = performance.now();
          const taskId = await limiter.run(() => submitTask(client, index));
          submitted.push(taskId);
          await followTask(client, taskId);
          followed.push({ taskId, tookMs: performance.now() - submittedAt });
        }, `task ${index}`);
      }
      await watch(stage, () => followed.length);
    }),
  );
  const totalMs = performance.now() - startedAt;
  const records = await readRecords(client, submitted);
  return report({ records, followed, submitted, killed: victim.name, totalMs });
}

/** Shows how far the tasks are, and kills the victim in the middle. */
async function watch({ client, count, victim, out }: Stage, done: () => number): Promise<void> {
  let killed: string | undefined;
  let shownAt = -1;
  while (done() < count) {
    const tasks = rows(
      await call(client, "p2p_taskqueue_list_tasks", { limit: PAGE, bodies: false }),
      "tasks",
    );
    const holds = tasks.filter(
      (task) => text(task, "status") === "running" && text(task, "assigned_worker") === victim.name,
    );
    if (killed === undefined && done() >= count * KILL_AT_SHARE && holds.length >= KILL_HOLDING) {
      await victim.kill();
      killed = victim.name;
      out.note(
        `killed ${victim.name} (pid ${victim.pid}, SIGKILL) while it held ${holds.length} tasks; their leases end within ${LEASE}`,
      );
    }
    if (out.isLive) out.live(progressTable(tasks, WORKERS, killed));
    else if (done() - shownAt >= count / 6) {
      shownAt = done();
      out.note(`${done()} of ${count} done`);
    }
    await moveOnAfter(LOOK_EVERY_MS, () => sleep(LOOK_EVERY_MS));
  }
  out.clear();
  if (killed === undefined)
    throw new DeadlineError(`the tasks were done before ${victim.name} could be killed; use more of them`);
}

/** Two in three take a while, so that a worker holds some whenever it is killed. */
function workOf(index: number): JsonObject {
  if (index % 3 === 0) return { tool: "everything__echo", arguments: { message: `hello ${index}` } };
  const duration = 1 + (index % 5) / 2;
  return { tool: "everything__trigger-long-running-operation", arguments: { duration, steps: 4 } };
}

async function submitTask(client: Client, index: number): Promise<string> {
  const task = {
    task_type: "tool.call",
    model_name: "",
    payload: workOf(index),
    idempotency_key: `demo-${index}`,
  };
  return text(await call(client, "p2p_taskqueue_submit", task), "task_id");
}

/** Waits until the task has ended; how it ended is judged later, by the queue's records. */
async function followTask(client: Client, taskId: string): Promise<void> {
  for (;;) {
    const answer = await call(client, "p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: WAIT_S });
    if (answer["timed_out"] !== true) return;
  }
}

async function readRecords(client: Client, ids: readonly string[]): Promise<readonly JsonObject[]> {
  const limiter = new Limiter(SUBMITS_AT_ONCE);
  const read = (id: string): Promise<JsonObject> =>
    limiter.run(() => call(client, "p2p_taskqueue_get_task", { task_id: id }));
  const answers = await Promise.all(ids.map(read));
  return answers.map(({ task }) => task).filter(isJsonObject);
}

function call(client: Client, tool: string, args: JsonObject): Promise<JsonObject> {
  return abortable((signal) => client.call(tool, args, { signal }));
}

function conclude(result: DemoReport, out: Output): void {
  out.result(reportText(result, out), result);
  if (result.ok) return;
  const wrong = [...result.missing, ...result.repeated];
  throw new TaskFailedError(wrong.join(", "), "gone wrong", "lost, or done more than once");
}

/** Nothing of the user's own configuration takes part; the token is the three nodes' own. */
async function makeEnvironment(folder: string): Promise<Record<string, string>> {
  const file = join(folder, "config.toml");
  await writeFile(file, "");
  return { MCPP_CONFIG: file, MCPP_TOKEN: randomBytes(32).toString("hex") };
}

/** Each node announces itself in a file that the two others read. */
function commonFlags(folder: string, name: string): string[] {
  const announceOf = (node: string): string => join(folder, `${node}.json`);
  const others = ["A", ...WORKERS].filter((other) => other !== name);
  const reads = others.flatMap((other) => ["--announce-files", announceOf(other)]);
  return ["--data-dir", join(folder, name), "--announce-file", announceOf(name), ...reads];
}

/** The command line of the reference server, which this package has for its development only. */
function everythingServer(): string {
  const name = "@modelcontextprotocol/server-everything";
  for (const base of [import.meta.url, join(process.cwd(), "package.json")]) {
    try {
      const manifest = createRequire(base).resolve(`${name}/package.json`);
      return `"${process.execPath}" "${join(manifest, "../dist/index.js")}" stdio`;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND")) throw error;
    }
  }
  throw new UnreachableError(`${name} is not installed, and the demonstration mounts it`, {
    hint: `in a new folder: npm install mcplusplus ${name} && npx mcpp demo`,
  });
}
