/** The command `mcpp`, started as users start it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import * as z from "zod";
import { installPackage } from "./package.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** How to start the command: from its sources, and as it is installed; the second has the goals. */
export interface Way {
  readonly name: "source" | "package";
  readonly args: readonly string[];
}

/** Both ways. @param folder - where the package is to be installed */
export async function waysToStart(folder: string): Promise<readonly [source: Way, installed: Way]> {
  return [
    { name: "source", args: [resolve(ROOT, "bin/mcpp.js")] },
    { name: "package", args: [await installPackage(folder)] },
  ];
}

/** A node that is ready. */
export interface RunningNode extends AsyncDisposable {
  readonly pid: number;
  readonly readyMs: number;
  readonly multiaddr: string;
}

const ready = z.object({ multiaddrs: z.array(z.string()).min(1) });

/** Runs `mcpp` to its end. @returns how long that took, in milliseconds */
export async function timeMcpp(
  way: readonly string[],
  args: readonly string[],
  folder: string,
): Promise<number> {
  const startedAt = performance.now();
  const child = start(way, args, folder);
  child.stdout?.resume();
  const [code]: unknown[] = await once(child, "exit");
  if (code !== 0) throw new Error(`mcpp ${args.join(" ")} ended with ${String(code)}`);
  return performance.now() - startedAt;
}

/** Starts a node with HTTP and libp2p on free ports. */
export async function startNode(way: readonly string[], folder: string): Promise<RunningNode> {
  const startedAt = performance.now();
  const flags = ["--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0", "--announce-file", "off"];
  const child = start(way, ["serve", "--json", "--data-dir", folder, ...flags], folder);
  const { stdout, pid } = child;
  if (!stdout || pid === undefined) throw new Error("mcpp did not start");
  const [line]: unknown[] = await once(createInterface({ input: stdout }), "line");
  const readyMs = performance.now() - startedAt;
  const { multiaddrs } = ready.parse(JSON.parse(String(line)));
  return {
    pid,
    readyMs,
    multiaddr: multiaddrs.find((address) => !address.includes("/ws")) ?? "",
    async [Symbol.asyncDispose]() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function start(way: readonly string[], args: readonly string[], folder: string): ChildProcess {
  const env = { PATH: process.env["PATH"], HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
  return spawn(process.execPath, [...way, ...args], { env, stdio: ["ignore", "pipe", "ignore"] });
}
