/**
 * How long the installed package takes to start, and what it costs while it idles: `node bench/start.ts [mcpp.js]`.
 * Without an argument it builds, packs and installs it first.
 *
 * Each figure is the median of interleaved runs, after two that fill the compile cache. "bare node" is the same
 * program running an empty file: what nobody can go below.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { installPackage } from "./shared/package.ts";
import { setTimeout as sleep } from "node:timers/promises";

const RUNS = 10;
const WARM_UP_RUNS = 2;
const IDLE_MS = 10_000;
/** USER_HZ, in which Linux counts processor time. */
const TICKS_PER_S = 100;

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly readyMs: number;
}

const folder = await mkdtemp(join(tmpdir(), "mcpp-start-"));
const given = process.argv[2];
const MCPP = given === undefined ? await installPackage(folder) : resolve(given);
const environment = {
  ...process.env,
  MCPP_CONFIG: join(folder, "config.toml"),
  NODE_COMPILE_CACHE: join(folder, "cache"),
};
try {
  await writeFile(environment.MCPP_CONFIG, "");
  await writeFile(join(folder, "empty.js"), "");
  console.log(JSON.stringify(await measure(), null, 2));
} finally {
  await rm(folder, { recursive: true });
}

async function measure(): Promise<object> {
  const node = await serve("measured");
  const figures = new Map<string, number[]>();
  const note = (name: string, ms: number): void => {
    figures.set(name, [...(figures.get(name) ?? []), ms]);
  };
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    const times: Record<string, number> = {
      "bare node": await runOnce([join(folder, "empty.js")]),
      "--help": await runOnce([MCPP, "--help"]),
      call: await runOnce([MCPP, "call", "p2p_taskqueue_status", "--node", node.url]),
      ready: await readyOnce(),
    };
    if (run >= 0) for (const [name, ms] of Object.entries(times)) note(name, ms);
  }
  const idle = await idling(node.child);
  await stop(node.child);
  const medians = Object.fromEntries(
    [...figures].map(([name, ms]) => [`${name} (ms)`, Math.round(median(ms))]),
  );
  return { node: process.version, ...medians, ...idle };
}

async function runOnce(args: readonly string[]): Promise<number> {
  const begin = performance.now();
  const child = spawn(process.execPath, args, { env: environment, stdio: ["ignore", "ignore", "inherit"] });
  const [code]: unknown[] = await once(child, "exit");
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${String(code)}`);
  return performance.now() - begin;
}

async function readyOnce(): Promise<number> {
  const { child, readyMs } = await serve("fresh");
  await stop(child);
  return readyMs;
}

async function serve(name: string): Promise<Started> {
  const begin = performance.now();
  const args = [MCPP, "serve", "--json", "--quiet", "--port", "0", "--data-dir", join(folder, name)];
  const child = spawn(process.execPath, args, { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const [line]: unknown[] = await once(createInterface(child.stdout), "line");
  const readyMs = performance.now() - begin;
  const ready: unknown = JSON.parse(String(line));
  const url = typeof ready === "object" && ready !== null && "url" in ready ? String(ready.url) : "";
  return { child, url, readyMs };
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** What the node takes while nobody asks anything of it. Linux only. */
async function idling({ pid }: ChildProcess): Promise<object> {
  const before = await processorTicks(pid);
  await sleep(IDLE_MS);
  const ticks = (await processorTicks(pid)) - before;
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const rssKb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  return {
    "idle RSS (MB)": Math.round(rssKb / 1024),
    "idle CPU (%)": (ticks / TICKS_PER_S / (IDLE_MS / 1000)) * 100,
  };
}

async function processorTicks(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
