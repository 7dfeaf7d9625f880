/** The command line as users run it, with its answer as JSON. */
import { spawnMcpp } from "../support/node-process.ts";

/** A command that has ended. */
export interface Ended {
  readonly code: number | null;
  /** What it printed, parsed. */
  readonly answer: unknown;
}

/** Runs `mcpp … --json` with the data folder `folder`. */
export async function mcpp(folder: string, ...args: readonly string[]): Promise<Ended> {
  const child = spawnMcpp([...args, "--json", "--data-dir", folder], folder);
  let stdout = "";
  let stderr = "";
  child.stdin?.end();
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  try {
    return { code, answer: JSON.parse(stdout) };
  } catch (cause) {
    throw new Error(`mcpp ${args.join(" ")} exited with ${code}:\n${stdout}${stderr}`, { cause });
  }
}
