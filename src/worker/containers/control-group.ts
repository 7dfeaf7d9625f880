/**
 * The processes of a build, by the control group that they were put into.
 *
 * Podman goes on with a RUN line although whoever asked for the build has hung up, and its API knows no way to end that.
 * So each build gets a parent group with a name of its own, and what runs below it is ended from here. That needs the
 * right to do so: root, or the engine's own user. On other systems than Linux there is nothing to look at.
 */
import { readdir, readFile } from "node:fs/promises";
import { moveOnAfter, shield, sleep } from "../../nursery/index.ts";

const LIMIT_MS = 10_000;
/** Processes that fork while they are looked for are found in the next round. */
const PAUSE_MS = 20;

/** The name of the parent group of a build, in the form that the engine's driver wants. */
export function groupName(worker: string, run: string, driver: string): string {
  // A hyphen in the name of a slice means a level of the tree.
  return driver === "systemd" ? `mcppbuild${worker}${run}.slice` : `/mcppbuild${worker}${run}`;
}

/** What the names of all groups of a worker have in common. */
export function groupMark(worker: string, run: string = ""): string {
  return `mcppbuild${worker}${run}`;
}

/** Ends every process in groups whose path has `mark`. @returns how many were found; at most 10 s */
export async function endGroup(mark: string): Promise<number> {
  if (process.platform !== "linux") return 0;
  const ended = new Set<number>();
  await shield(LIMIT_MS + 1000, () =>
    moveOnAfter(LIMIT_MS, async () => {
      for (;;) {
        const pids = await processesIn(mark);
        if (pids.length === 0) return;
        for (const pid of pids) {
          ended.add(pid);
          kill(pid);
        }
        await sleep(PAUSE_MS);
      }
    }),
  );
  return ended.size;
}

async function processesIn(mark: string): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).map(Number).filter((pid) => Number.isSafeInteger(pid) && pid > 1);
  const found = await Promise.all(
    pids.map(async (pid) => ((await groupsOf(pid)).includes(mark) ? [pid] : [])),
  );
  return found.flat().filter((pid) => pid !== process.pid);
}

async function groupsOf(pid: number): Promise<string> {
  try {
    const [groups, state] = await Promise.all([
      readFile(`/proc/${pid}/cgroup`, "utf8"),
      readFile(`/proc/${pid}/stat`, "utf8"),
    ]);
    // A zombie has ended.
    return /\) [ZX] /.test(state) ? "" : groups;
  } catch (error) {
    if (error instanceof Error && "code" in error) return "";
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It has ended, or it is not ours to end.
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
