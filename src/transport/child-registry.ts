/**
 * Records of the processes that a node has started, so that the next start finds what a SIGKILL left behind.
 *
 * A record is written before the process is spawned (with its marker) and completed before the process is used (with
 * pid and start time); it goes when the whole tree has gone. Nothing is ever ended on the strength of a pid alone.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { isSameProcess, processStartTime } from "../process.ts";
import { endTree, isLeader, markedProcesses } from "./process-tree.ts";

/** How long an orphan has after SIGTERM: it has lost its parent, so nobody reads what it still says. */
const ORPHAN_GRACE_MS = 2000;

const recordSchema = z.object({
  marker: z.string().min(1),
  command: z.string(),
  parentPid: z.int().positive(),
  parentStartTime: z.string().optional(),
  pid: z.int().positive().optional(),
  startTime: z.string().optional(),
});

type ChildRecord = z.infer<typeof recordSchema>;

/** The record of one process. */
export interface ChildEntry {
  /** Unique to this process and everything it starts; goes into its environment. */
  readonly marker: string;
  /** Notes which process it became. */
  started(pid: number): Promise<void>;
  /** Takes the record away: nothing of the tree is left. */
  remove(): Promise<void>;
}

/** Where records are kept. */
export interface ChildRegistry {
  /**
   * Announces a process that is about to be started.
   *
   * @param owner - who starts it, in words; becomes the first part of the marker
   */
  announce(owner: string, command: string): Promise<ChildEntry>;
}

/** What was found of one earlier process. */
export interface ReapedOrphan {
  readonly marker: string;
  readonly command: string;
  /** The processes that were told to end; empty if all had ended by themselves. */
  readonly pids: readonly number[];
  /** False if something still runs; its record stays for the next start. */
  readonly gone: boolean;
}

/** Opens the folder `folder` as a registry, and makes it if need be. */
export async function openChildRegistry(folder: string): Promise<ChildRegistry> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return { announce: (owner, command) => announce(folder, owner, command) };
}

async function announce(folder: string, owner: string, command: string): Promise<ChildEntry> {
  const id = randomUUID();
  const path = join(folder, `${id}.json`);
  const record: ChildRecord = {
    marker: `${owner}/${id}`,
    command,
    parentPid: process.pid,
    parentStartTime: processStartTime(process.pid),
  };
  await writeRecord(path, record);
  return {
    marker: record.marker,
    started: (pid) => writeRecord(path, { ...record, pid, startTime: processStartTime(pid) }),
    remove: () => rm(path, { force: true }),
  };
}

/** Renaming is atomic, so a reader sees a whole record or the one before. */
async function writeRecord(path: string, record: ChildRecord): Promise<void> {
  const fresh = `${path}.new`;
  await writeFile(fresh, JSON.stringify(record), { mode: 0o600 });
  await rename(fresh, path);
}

/**
 * Ends what earlier runs of a node left behind, by the records in `folder`. Records of a node that still runs are
 * left alone. A process is only touched if its start time is the recorded one, or if it carries a recorded marker.
 *
 * @param graceMs - how long an orphan has after SIGTERM
 * @returns what was found for each record; empty if there is no such folder
 */
export async function reapOrphans(
  folder: string,
  graceMs: number = ORPHAN_GRACE_MS,
): Promise<readonly ReapedOrphan[]> {
  const names = (await recordsIn(folder)).toSorted();
  // At once, because each may use up its grace.
  const reaped = await Promise.all(names.map((name) => reapRecord(join(folder, name), graceMs)));
  return reaped.filter((outcome) => outcome !== undefined);
}

/** @returns undefined if there is nothing that could be an orphan */
async function reapRecord(path: string, graceMs: number): Promise<ReapedOrphan | undefined> {
  const record = await readRecord(path);
  if (record && isSameProcess(record.parentPid, record.parentStartTime)) return undefined;
  const outcome = record && (await reap(record, graceMs));
  if (outcome?.gone !== false) await rm(path, { force: true });
  return outcome;
}

async function recordsIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** @returns undefined for a file that is no record: writing is atomic, so it was never one of ours */
async function readRecord(path: string): Promise<ChildRecord | undefined> {
  const text = await readFile(path, "utf8");
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

async function reap(record: ChildRecord, graceMs: number): Promise<ReapedOrphan> {
  const { marker, command, pid, startTime } = record;
  const leads = pid !== undefined && isLeader({ pid, startTime }, marker);
  const pids = new Set(markedProcesses(marker).map((found) => found.pid));
  if (leads) pids.add(pid);
  if (pids.size === 0) return { marker, command, pids: [], gone: true };
  const gone = await endTree({ group: leads ? pid : undefined, marker }, graceMs);
  return { marker, command, pids: [...pids], gone };
}
