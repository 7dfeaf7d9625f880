/**
 * What an interrupted run would leave behind is taken away with the process: child processes, network namespaces,
 * temporary folders.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

const undo = new Set<() => void>();

/** Has `fn` called when this process ends, unless what is returned is called before. `fn` must not wait. */
export function atEnd(fn: () => void): () => void {
  undo.add(fn);
  return () => undo.delete(fn);
}

/** From now on this process ends on SIGINT and SIGTERM, and takes with it all that it started. */
export function leaveNothingBehind(): void {
  const folder = mkdtempSync(join(tmpdir(), "mcpp-interop-"));
  // Everything temporary of this process and of its children goes there.
  process.env["TMPDIR"] = folder;
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  process.once("exit", () => {
    for (const pid of descendants()) kill(pid);
    for (const fn of undo) fn();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
}

/** The processes below this one, the nearest first. */
function descendants(): number[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const rows = table
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found = [process.pid];
  for (const parent of found)
    for (const [pid = 0, ppid] of rows) if (ppid === parent && !found.includes(pid)) found.push(pid);
  return found.slice(1);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself, as the `ps` that listed them has.
  }
}
