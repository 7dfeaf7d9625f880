/** The command line as users run it, with its answer as JSON. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import * as z from "zod";
import { cleanEnvironment } from "../support/node-process.ts";

const BIN = resolve(import.meta.dirname, "../../bin/mcpp.js");

/** A command that has ended. */
export interface Ended {
  readonly code: number | null;
  /** What it printed, parsed. */
  readonly answer: unknown;
}

/** What a command printed. */
export interface Printed {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `mcpp … --json` with the data folder `folder`. @throws Error if it does not print JSON */
export async function mcpp(folder: string, ...args: readonly string[]): Promise<Ended> {
  const { code, stdout, stderr } = await printed(folder, [...args, "--json", "--data-dir", folder], []);
  try {
    return { code, answer: JSON.parse(stdout) };
  } catch (cause) {
    throw new Error(`mcpp ${args.join(" ")} exited with ${code}:\n${stdout}${stderr}`, { cause });
  }
}

/** Whether `mcpp serve` has an option. */
export async function hasOption(folder: string, option: string): Promise<boolean> {
  const { stdout } = await printed(folder, ["serve", "--help"], []);
  return stdout.includes(option);
}

/** The ids of the peers that a node knows. `inside` is the command that leads to where it runs. */
export async function peersOf(folder: string, inside: readonly string[] = []): Promise<string[]> {
  const { stdout } = await printed(folder, ["peers", "--json", "--data-dir", folder], inside);
  const { peers } = z.object({ peers: z.array(z.object({ peer_id: z.string() })) }).parse(JSON.parse(stdout));
  return peers.map((peer) => peer.peer_id);
}

/** The command line of `mcpp`. */
export function commandOf(args: readonly string[]): string[] {
  return [process.execPath, BIN, ...args];
}

async function printed(folder: string, args: readonly string[], inside: readonly string[]): Promise<Printed> {
  const [command = "", ...rest] = [...inside, ...commandOf(args)];
  const child = spawn(command, rest, { env: cleanEnvironment(folder), stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((settle, reject) => {
    child.once("error", reject);
    child.once("close", settle);
  });
  return { code, stdout, stderr };
}
