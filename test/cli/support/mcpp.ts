/** Runs the command as users do: as a process of bin/mcpp.js. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../../bin/mcpp.js", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder of its own for a command's home, configuration and data. */
export async function openHome(): Promise<{ readonly dir: string; readonly close: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "mcpp-cli-"));
  return { dir, close: () => rm(dir, { recursive: true, force: true }) };
}

/** Starts `mcpp` with nothing of the tester's own environment but the path. */
export function start(
  home: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const clean = { PATH: process.env["PATH"] ?? "", HOME: home, MCPP_DATA_DIR: join(home, "data"), ...env };
  return spawn(process.execPath, [BIN, ...args], { cwd: home, env: clean, stdio: ["pipe", "pipe", "pipe"] });
}

/** Runs `mcpp` to its end. */
export async function mcpp(
  home: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return finish(start(home, args, env));
}

/** Waits for a process, with all it prints. */
export function finish(child: ChildProcess): Promise<Finished> {
  child.stdin?.end();
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
