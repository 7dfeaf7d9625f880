/**
 * Whose a container, an image, a folder or a control group is: marks that outlive a process that is killed.
 *
 * Two marks: the worker's, which stays the same for a data folder, and the process's. What has the first, and a second of
 * a process that is gone, was left behind.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isSameProcess, processStartTime } from "../../process.ts";

/** Label of everything that a worker makes: the worker's id. */
export const WORKER_LABEL = "io.mcplusplus.worker";
/** Label with the process that made it: pid and start time. */
export const PROCESS_LABEL = "io.mcplusplus.process";
/** Label with the id of the task. */
export const TASK_LABEL = "io.mcplusplus.task";
/** Label with what is unique to one attempt at a task. */
export const RUN_LABEL = "io.mcplusplus.run";

/** File in the folder of a clone with the process that made it. */
export const PROCESS_FILE = "process";

const ID = /^[0-9a-f]{12}$/;

/** Who makes containers here. */
export interface Owner {
  /** 12 hexadecimal digits, the same for this data folder for ever. */
  readonly id: string;
  /** Absolute path of the private folder for clones. */
  readonly folder: string;
  readonly process: string;
}

/** The marks of one attempt at a task. */
export interface Marks {
  /** Unique; 12 hexadecimal digits. */
  readonly run: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Makes the folder, and gives it an id if it has none. */
export async function openOwner(folder: string): Promise<Owner> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return { id: await idOf(join(folder, "worker-id")), folder, process: thisProcess() };
}

/** Marks for one attempt. */
export function marksOf(owner: Owner, taskId: string): Marks {
  const run = newId();
  const labels = {
    [WORKER_LABEL]: owner.id,
    [PROCESS_LABEL]: owner.process,
    [TASK_LABEL]: taskId,
    [RUN_LABEL]: run,
  };
  return { run, labels };
}

/** Whether the process of a mark still runs. Marks that are none are of nobody. */
export function isRunning(mark: string): boolean {
  const [pid = "", ...startTime] = mark.split(" ");
  const start = startTime.join(" ");
  return isSameProcess(Number(pid), start === "" ? undefined : start);
}

function thisProcess(): string {
  return `${process.pid} ${processStartTime(process.pid) ?? ""}`.trim();
}

function newId(): string {
  return randomUUID().replaceAll("-", "").slice(0, 12);
}

async function idOf(path: string): Promise<string> {
  try {
    // Two processes that share a data folder must agree.
    await writeFile(path, newId(), { flag: "wx", mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
  const id = (await readFile(path, "utf8")).trim();
  if (ID.test(id)) return id;
  const fresh = newId();
  await writeFile(path, fresh, { mode: 0o600 });
  return fresh;
}
