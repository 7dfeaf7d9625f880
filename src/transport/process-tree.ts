/**
 * A process and everything it started, as one thing that can be ended.
 *
 * The root of a tree leads a process group of its own, so one signal reaches all that stayed in the group. What left
 * it (a daemon) still carries the marker that the root got in its environment; only Linux lets us look for that.
 * A foreign process does not tell when it ends, so its end is looked for now and then, for a bounded time.
 */
import { readdirSync, readFileSync } from "node:fs";
import { isAlive, processStartTime } from "../process.ts";
import { moveOnAfter, sleep } from "../nursery/index.ts";

/** The environment variable that marks a process as started by us; its value is the marker. */
export const MARKER_VARIABLE = "MCPP_MOUNT";
/** How often a process that was told to end is looked at. */
const LOOK_EVERY_MS = 25;

/** What a tree is known by. */
export interface ProcessTree {
  /** Id of the group, which is the pid of its leader; undefined if it is not known to be ours. */
  readonly group: number | undefined;
  /** The marker in the environment of its processes. */
  readonly marker: string;
}

/** A process that must not be mistaken for another one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string | undefined;
}

/**
 * Ends a tree: SIGTERM to its group, and after `graceMs` SIGKILL to whatever is left, in the group or marked.
 *
 * A group must be known to be ours: while its leader lives, or since we started it ourselves.
 *
 * @returns true if nothing of it is left
 */
export async function endTree(tree: ProcessTree, graceMs: number): Promise<boolean> {
  if (treeIsGone(tree)) return true;
  signalTree(tree, "SIGTERM");
  if (await goneWithin(tree, graceMs)) return true;
  signalTree(tree, "SIGKILL");
  return goneWithin(tree, graceMs);
}

/** Whether no process of the tree runs any more. Zombies do not run. */
export function treeIsGone(tree: ProcessTree): boolean {
  return (tree.group === undefined || !groupRuns(tree.group)) && markedProcesses(tree.marker).length === 0;
}

/** Sends a signal to the group and to every marked process outside of it. */
export function signalTree(tree: ProcessTree, signal: NodeJS.Signals): void {
  if (tree.group !== undefined) send(-tree.group, signal);
  for (const { pid } of markedProcesses(tree.marker)) {
    // Once each: many programs take a second SIGTERM for impatience.
    if (groupOfRunning(pid) !== tree.group) send(pid, signal);
  }
}

/** The processes whose environment carries the marker; none where the system does not show it. */
export function markedProcesses(marker: string): readonly ProcessIdentity[] {
  if (process.platform !== "linux") return [];
  return allPids()
    .filter((pid) => pid !== process.pid && markerOf(pid) === marker)
    .map((pid) => ({ pid, startTime: processStartTime(pid) }))
    .filter((found) => found.startTime !== undefined);
}

/** The marker in the environment of a process; undefined if it has none or it cannot be read. */
export function markerOf(pid: number): string | undefined {
  const environment = readProc(pid, "environ") ?? "";
  const entry = environment.split("\0").find((line) => line.startsWith(`${MARKER_VARIABLE}=`));
  return entry?.slice(MARKER_VARIABLE.length + 1);
}

function groupRuns(group: number): boolean {
  if (!groupExists(group)) return false;
  // A zombie counts as a member until somebody reaps it, which in a container may be nobody.
  return process.platform !== "linux" || allPids().some((pid) => groupOfRunning(pid) === group);
}

function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Fields 3 and 5 of proc_pid_stat(5): state and group, counted after the command name, which may contain spaces. */
function groupOfRunning(pid: number): number | undefined {
  const stat = readProc(pid, "stat");
  if (stat === undefined) return undefined;
  const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : Number(group);
}

function allPids(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isSafeInteger(pid) && pid > 0);
}

/** A file of a process; undefined if the process has ended or belongs to somebody else. */
function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES" || code === "EPERM") return undefined;
    throw error;
  }
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    // It ended by itself, or its members changed hands (setuid): then it is not ours to end.
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

async function goneWithin(tree: ProcessTree, timeoutMs: number): Promise<boolean> {
  const looked = await moveOnAfter(timeoutMs, async () => {
    while (!treeIsGone(tree)) await sleep(LOOK_EVERY_MS);
    return true;
  });
  return looked.ok || treeIsGone(tree);
}

/** Whether the process lives and may be taken for the leader of a marked tree: same start, and no other marker. */
export function isLeader(identity: ProcessIdentity, marker: string): boolean {
  if (identity.startTime === undefined || !isAlive(identity.pid)) return false;
  if (processStartTime(identity.pid) !== identity.startTime) return false;
  const carried = markerOf(identity.pid);
  return carried === undefined || carried === marker;
}
