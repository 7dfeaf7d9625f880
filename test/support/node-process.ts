/** Real nodes in processes of their own, started through the command line as users start them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import * as z from "zod";

const BIN = resolve(import.meta.dirname, "../../bin/mcpp.js");
/** A node starts in about a second; a loaded machine may take many. */
const START_LIMIT_MS = 60_000;

/** What a node says when it is ready. */
export interface Ready {
  readonly ready: true;
  readonly peer_id: string;
  readonly url: string | null;
  readonly multiaddrs: readonly string[];
  readonly data_dir: string;
  readonly pid: number;
}

const readySchema: z.ZodType<Ready> = z.object({
  ready: z.literal(true),
  peer_id: z.string(),
  url: z.string().nullable(),
  multiaddrs: z.array(z.string()),
  data_dir: z.string(),
  pid: z.int(),
});

/** A running node. */
export interface NodeProcess extends Ready {
  /** Where MCP is; throws if the node serves no HTTP. */
  readonly mcp: string;
  readonly process: ChildProcess;
  /** What it wrote to standard error so far. */
  stderr(): string;
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>;
  /** Asks it to end. @returns its exit code */
  stop(): Promise<number | null>;
}

/** A temporary folder. */
export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/** Makes a temporary folder that goes with the test. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), "mcpp-test-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** An environment in which nothing of the user's configuration shows. */
export function cleanEnvironment(folder: string): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(MCPP_|MCP_|IPFS_|XDG_)/.test(name));
  return {
    ...Object.fromEntries(kept),
    XDG_CONFIG_HOME: join(folder, "config"),
    XDG_DATA_HOME: join(folder, "share"),
  };
}

/** Runs `mcpp` with `args`; `launcher` is a command line to put before it, such as one that enters a namespace. */
export function spawnMcpp(
  args: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv = {},
  launcher: readonly string[] = [],
): ChildProcess {
  const [program = process.execPath, ...rest] = [...launcher, process.execPath, BIN, ...args];
  return spawn(program, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...cleanEnvironment(folder), ...env },
  });
}

/** How a node is started. */
export interface Launch {
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly launcher?: readonly string[] | undefined;
}

/** Starts `mcpp serve` (or `worker`) on any free port and waits until it is ready. */
export async function startNode(
  folder: string,
  args: readonly string[] = [],
  command = "serve",
  { env = {}, launcher = [] }: Launch = {},
): Promise<NodeProcess> {
  const port = command === "serve" ? ["--port", "0"] : [];
  const line = [command, "--json", "--data-dir", folder, ...port, ...args];
  const child = spawnMcpp(line, folder, env, launcher);
  const errors: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
  const ready = await readyLine(child, () => errors.join(""));
  return {
    ...ready,
    get mcp() {
      if (ready.url === null) throw new Error("this node serves no HTTP");
      return ready.url;
    },
    process: child,
    stderr: () => errors.join(""),
    async kill() {
      await ended(child, "SIGKILL");
    },
    stop: () => ended(child, "SIGTERM"),
  };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
  return child.exitCode;
}

async function readyLine(child: ChildProcess, stderr: () => string): Promise<Ready> {
  const { stdout } = child;
  if (stdout === null) throw new Error("no standard output");
  const limit = AbortSignal.timeout(START_LIMIT_MS);
  const lines = createInterface({ input: stdout, signal: limit });
  for await (const line of lines) return readySchema.parse(JSON.parse(line));
  child.kill("SIGKILL");
  throw new Error(`the node did not become ready:\n${stderr()}`);
}
