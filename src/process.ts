/**
 * Which process is it? A pid alone does not say: pids are given again, so a record of a process keeps its start time too.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** `ps` answers in milliseconds; one that does not must not hold up a start. */
const PS_TIMEOUT_MS = 2000;
/** Field 22 of /proc/<pid>/stat (proc_pid_stat(5)), counted after the command name, which may contain spaces. */
const START_TIME_INDEX = 19;

/**
 * When the process `pid` was started, as text that is only good for comparing.
 *
 * On Linux it names the boot as well, because start times are counted from it.
 *
 * @returns undefined if there is no such process, or if the system does not say (Windows)
 */
export function processStartTime(pid: number): string | undefined {
  if (process.platform === "linux") return linuxStartTime(pid);
  if (process.platform === "win32") return undefined;
  return psStartTime(pid);
}

/** Whether a process `pid` exists, also if it belongs to somebody else. */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/**
 * Whether the process `pid` lives and is the one that was started at `startTime`.
 *
 * @param startTime - what {@link processStartTime} said of it; undefined means it is not known, then the pid must do
 */
export function isSameProcess(pid: number, startTime: string | undefined): boolean {
  if (!isAlive(pid)) return false;
  if (startTime === undefined) return true;
  const actual = processStartTime(pid);
  // Windows does not say, so there the pid must do; elsewhere saying nothing means that it has just ended.
  return actual === undefined ? process.platform === "win32" : actual === startTime;
}

function linuxStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // A zombie has ended: nothing of it will ever run again.
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${fields[START_TIME_INDEX]}`;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return undefined;
    throw error;
  }
}

function psStartTime(pid: number): string | undefined {
  try {
    // The environment is fixed so that two processes with other languages or time zones get the same text.
    const env = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" };
    const text = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      env,
      timeout: PS_TIMEOUT_MS,
      stdio: ["ignore", "pipe", "ignore"],
      encoding: "utf8",
    });
    return text.trim() || undefined;
  } catch (error) {
    // `ps` ends with a status when it knows no such process; anything else is a defect of the system.
    if (error instanceof Error && "status" in error && typeof error.status === "number") return undefined;
    throw error;
  }
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
