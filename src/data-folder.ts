/**
 * The folder in which one node keeps its identity, its database and what it announces.
 *
 * Two nodes on one folder would have the same peer id and hand out the same tasks, so the folder is locked. The lock is
 * the operating system's, held through an empty SQLite file: the kernel drops it when the process ends, however it ends, so
 * there is no stale lock to judge and no race in taking one over. A file with a pid, which was rejected, has both, and is
 * wrong between containers, whose processes all have pid 1. The record beside the lock only names the holder to others.
 *
 * Nothing else may open {@link LOCK_FILE}: closing any descriptor of it in this process drops a POSIX lock.
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { InvalidInputError, StoreLockedError, StoreReadOnlyError } from "./errors.ts";
import { sleep } from "./nursery/index.ts";
import { isSameProcess, processStartTime } from "./process.ts";

/** The file whose lock is the folder's. */
const LOCK_FILE = "node.lock";
/** Who holds the lock, for the message to whoever does not get it. */
const HOLDER_FILE = "node.json";
/** Whoever has just won the lock needs a moment to write who it is. */
const HOLDER_TRIES = 10;
const HOLDER_PAUSE_MS = 20;
/** `SQLITE_BUSY`, `SQLITE_READONLY` and `SQLITE_CANTOPEN` of sqlite.org/rescode.html. */
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;

/** Where things are in a data folder; does not say that they exist. */
export interface DataPaths {
  /** Absolute path of the folder. */
  readonly dir: string;
  /** The node's private key. */
  readonly identity: string;
  /** The queue's database. */
  readonly queue: string;
  /** What the node tells other processes of this machine about itself. */
  readonly announce: string;
  /** Folder of the records of mounted processes. */
  readonly mounts: string;
}

/** A data folder that this process holds. */
export interface DataFolder extends DataPaths {
  /** Gives the folder up. Idempotent. */
  close(): Promise<void>;
}

/** Who holds a folder. */
export interface Holder {
  readonly pid: number;
  /** As {@link processStartTime} told; absent where the system does not say. */
  readonly startTime?: string | undefined;
  readonly host: string;
}

/** The paths inside the folder `dir`, without touching it. */
export function dataPaths(dir: string): DataPaths {
  const root = resolve(dir);
  return {
    dir: root,
    identity: join(root, "identity.key"),
    queue: join(root, "queue.db"),
    announce: join(root, "announce.json"),
    mounts: join(root, "mounts"),
  };
}

/**
 * Makes the folder, readable by its owner only, and takes its lock until {@link DataFolder.close} or the process's end.
 *
 * @throws StoreLockedError if another node holds it, naming that node's process
 * @throws StoreReadOnlyError if nothing can be written there
 * @throws InvalidInputError if the path is no folder
 */
export async function openDataFolder(dir: string): Promise<DataFolder> {
  const paths = dataPaths(dir);
  await makeFolder(paths.dir);
  const lock = takeLock(paths.dir) ?? (await refuse(paths.dir));
  try {
    await makeFolder(paths.mounts);
    await writeHolder(paths.dir);
  } catch (error) {
    lock.close();
    throw asReadOnly(error, paths.dir);
  }
  let open = true;
  return {
    ...paths,
    async close() {
      if (!open) return;
      open = false;
      // The record goes first: after the lock it might be the next holder's.
      await rm(join(paths.dir, HOLDER_FILE), { force: true });
      lock.close();
    },
  };
}

/**
 * Makes the folder, readable by its owner only, without taking its lock: for what is safe beside a running node.
 *
 * @throws StoreReadOnlyError if nothing can be written there
 * @throws InvalidInputError if the path is no folder
 */
export async function ensureDataFolder(dir: string): Promise<DataPaths> {
  const paths = dataPaths(dir);
  await makeFolder(paths.dir);
  return paths;
}

/** Who holds the folder `dir` now; undefined if nobody does, or nobody that could be told from here. */
export async function holderOf(dir: string): Promise<Holder | undefined> {
  const holder = await readHolder(join(resolve(dir), HOLDER_FILE));
  if (!holder) return undefined;
  // The process of another machine or container cannot be looked at from here.
  if (holder.host !== hostname()) return holder;
  return isSameProcess(holder.pid, holder.startTime) ? holder : undefined;
}

async function makeFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const { mode } = await stat(dir);
    // One that was there before may be open to others.
    if ((mode & 0o077) !== 0) await chmod(dir, 0o700);
  } catch (error) {
    if (isCode(error, "EEXIST") || isCode(error, "ENOTDIR")) {
      throw new InvalidInputError(`${dir} is not a folder`, {
        cause: error,
        hint: "set MCPP_DATA_DIR to a folder of the node's own",
      });
    }
    throw asReadOnly(error, dir);
  }
}

/** @returns undefined if another process, or another node of this one, has it */
function takeLock(dir: string): DatabaseSync | undefined {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(join(dir, LOCK_FILE), { timeout: 0 });
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return db;
  } catch (error) {
    db?.close();
    const code = error instanceof Error && "errcode" in error ? error.errcode : undefined;
    if (code === SQLITE_BUSY) return undefined;
    if (code === SQLITE_READONLY || code === SQLITE_CANTOPEN) throw readOnly(dir, error);
    throw error;
  }
}

async function refuse(dir: string): Promise<never> {
  let holder = await holderOf(dir);
  for (let tries = 1; !holder && tries < HOLDER_TRIES; tries++) {
    await sleep(HOLDER_PAUSE_MS);
    holder = await holderOf(dir);
  }
  const who = holder ? `the node with pid ${holder.pid} on ${holder.host}` : "another node";
  throw new StoreLockedError(`the data folder ${dir} is in use by ${who}`, {
    hint: "end that node, or give this one a folder of its own with MCPP_DATA_DIR or --data-dir",
  });
}

/** Written beside and moved into place, so that a reader sees all of it or nothing. */
async function writeHolder(dir: string): Promise<void> {
  const holder: Holder = { pid: process.pid, startTime: processStartTime(process.pid), host: hostname() };
  const fresh = join(dir, `${HOLDER_FILE}.${randomBytes(6).toString("hex")}`);
  await writeFile(fresh, `${JSON.stringify(holder)}\n`, { mode: 0o600, flag: "wx" });
  await rename(fresh, join(dir, HOLDER_FILE));
}

async function readHolder(path: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const value = parsed(text);
  if (typeof value !== "object" || value === null) return undefined;
  const { pid, startTime, host } = { pid: undefined, startTime: undefined, host: undefined, ...value };
  if (typeof pid !== "number" || typeof host !== "string") return undefined;
  return { pid, host, startTime: typeof startTime === "string" ? startTime : undefined };
}

/** A record that is no JSON names nobody; the lock itself does not depend on it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function asReadOnly(error: unknown, dir: string): unknown {
  const codes = ["EACCES", "EPERM", "EROFS"];
  return codes.some((code) => isCode(error, code)) ? readOnly(dir, error) : error;
}

function readOnly(dir: string, cause: unknown): StoreReadOnlyError {
  const hint = "mend its permissions, or choose another folder with MCPP_DATA_DIR or --data-dir";
  return new StoreReadOnlyError(`the data folder ${dir} cannot be written`, { cause, hint });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
