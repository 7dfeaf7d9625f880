/**
 * Git, as a child process that asks nobody, runs no hooks, and ends when it is told to.
 *
 * A repository is fetched into a bare folder and never checked out: what is built comes out of Git's own tree by `git
 * archive`, where a path is a path and a symbolic link leads nowhere.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { lstat, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { InvalidInputError, UnreachableError, WorkFailedError } from "../../errors.ts";
import { abortable, moveOnAfter, openNursery, sleep } from "../../nursery/index.ts";
import { processStartTime } from "../../process.ts";
import { CLONE_LIMIT_MS, MAX_CLONE_BYTES } from "./policy.ts";

/** What may be fetched. */
export interface Source {
  readonly url: string;
  /** A branch, a tag, or a whole commit id. */
  readonly revision: string;
  /** Whether the URL is a file URL, which only an explicit policy allows. */
  readonly isFile: boolean;
}

/** Names the process group of a running git, for whoever finds the folder after this process was killed. */
export const GIT_PID_FILE = "git.pid";
/** How often the size of a clone is looked at. */
const LOOK_EVERY_MS = 100;
/** How much git may say before the rest is left out. */
const MAX_WORDS_BYTES = 16 * 1024;
/** How long git may take for what is on this machine. */
const LOCAL_LIMIT_MS = 60_000;
const MAX_URL_CHARS = 2000;
const REVISION = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,250}$/;

/** Git's configuration is here, and nowhere else. Only the two protocols, no helpers, little memory. */
const CONFIG = [
  "core.hooksPath=/dev/null",
  "core.fsmonitor=false",
  "core.bigFileThreshold=8m",
  "credential.helper=",
  "protocol.allow=never",
  "protocol.https.allow=always",
  "gc.auto=0",
  "maintenance.auto=false",
  "pack.threads=1",
  "http.lowSpeedLimit=1000",
  "http.lowSpeedTime=60",
  "submodule.recurse=false",
  "advice.detachedHead=false",
];

/**
 * Checks a repository against the list of allowed beginnings.
 *
 * @throws InvalidInputError
 * @returns undefined if the policy does not allow it
 */
export function allowedSource(
  asked: string,
  revision: string,
  allowed: readonly string[],
): Source | undefined {
  const text = /^[\w.-]+\/[\w.-]+$/.test(asked) ? `https://github.com/${asked}` : asked;
  if (text.length > MAX_URL_CHARS || !URL.canParse(text))
    throw new InvalidInputError("payload.repo_url must be an https URL, or owner/name on GitHub");
  const url = new URL(text);
  const isFile = url.protocol === "file:";
  if (!isFile && url.protocol !== "https:")
    throw new InvalidInputError(`payload.repo_url must be an https URL, not ${url.protocol.slice(0, 20)}`);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw new InvalidInputError("payload.repo_url must have no credentials, no query and no fragment");
  // The parsed URL has no dot segments; nobody's repository has escaped ones.
  if (/%2e|%2f|%5c|%00/i.test(text))
    throw new InvalidInputError("payload.repo_url has escaped dots or slashes");
  if (!REVISION.test(revision) || revision.includes("..") || revision.endsWith(".lock"))
    throw new InvalidInputError("payload.branch must be the name of a branch or tag, or a commit id");
  const isAllowed = allowed.some((start) => begins(url.href, start));
  return isAllowed ? { url: url.href, revision, isFile } : undefined;
}

/** `https://host/owner` allows `https://host/owner` and what is below, not `https://host/owner2`. */
function begins(url: string, start: string): boolean {
  const from = URL.canParse(start) ? new URL(start).href : start;
  return url === from || url.startsWith(from.endsWith("/") ? from : `${from}/`) || url === `${from}.git`;
}

/** Fetches one commit into `folder`, which is empty. @returns its id */
export async function fetchCommit(folder: string, source: Source): Promise<string> {
  await git(folder, ["init", "--quiet", "--bare", "."], LOCAL_LIMIT_MS);
  await openNursery(async (nursery) => {
    nursery.startSoon(() => watchSize(folder), "size of the clone");
    const flags = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
    const target = `${source.revision}:refs/heads/built`;
    const config = source.isFile ? ["-c", "protocol.file.allow=always"] : [];
    await git(folder, [...config, "fetch", ...flags, "--", source.url, target], CLONE_LIMIT_MS);
    nursery.cancel("the clone is here");
  });
  const id = await git(folder, ["rev-parse", "--verify", "refs/heads/built^{commit}"], LOCAL_LIMIT_MS);
  return id.toString("utf8").trim();
}

/** Runs git to its end. @returns what it wrote @throws WorkFailedError `E_GIT` */
export async function git(
  folder: string,
  args: readonly string[],
  limitMs: number = LOCAL_LIMIT_MS,
  maxBytes: number = MAX_WORDS_BYTES,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  await withGit(folder, args, limitMs, async (out) => {
    for await (const chunk of out) {
      const part = Buffer.from(chunk);
      bytes += part.length;
      if (bytes > maxBytes) throw tooLarge(`what 'git ${args[0] ?? ""}' writes`, maxBytes);
      chunks.push(part);
    }
  });
  return Buffer.concat(chunks);
}

/** A refusal of what is too large. */
export function tooLarge(what: string, bytes: number): WorkFailedError {
  return new WorkFailedError({
    code: "E_TOO_LARGE",
    failureClass: "invalid",
    message: `${what} is larger than ${bytes} bytes`,
  });
}

/** Runs git, gives its output to `read`, and ends it whichever way that ends. */
export async function withGit(
  folder: string,
  args: readonly string[],
  limitMs: number,
  read: (out: Readable, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const config = CONFIG.flatMap((entry) => ["-c", entry]);
  const child = spawn("git", [...config, ...args], {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: environment(folder),
  });
  const closed = once(child, "close");
  // Listened to before anything can throw; how it ended is asked of `closed` below.
  closed.catch(() => undefined);
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(0, MAX_WORDS_BYTES);
  });
  try {
    const within = await moveOnAfter(limitMs, async () => {
      await abortable(async (signal) => {
        signal.addEventListener("abort", () => end(child), { once: true });
        // Read from the first moment: Node throws away what nobody reads of a process that has ended.
        await Promise.all([read(child.stdout, signal), recordGroup(folder, child.pid)]);
        signal.throwIfAborted();
        await closed;
      });
    });
    if (!within.ok)
      throw new WorkFailedError({
        code: "E_GIT",
        failureClass: "timeout",
        message: `'git ${commandOf(args)}' did not end within ${limitMs / 1000} s`,
      });
  } catch (error) {
    if (isMissing(error)) throw new UnreachableError("there is no git on this machine", { cause: error });
    throw error;
  } finally {
    end(child);
  }
  if (child.exitCode !== 0) throw gitFailure(args, words);
}

function commandOf(args: readonly string[]): string {
  return args.find((word, at) => word !== "-c" && args[at - 1] !== "-c") ?? "";
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT" && "syscall" in error;
}

function gitFailure(args: readonly string[], words: string): WorkFailedError {
  const isGone =
    /not found|couldn't find remote ref|does not exist|not a git repository|not appear to be a git repository|Needed a single revision|Not a valid object|not our ref|could not read Username|Authentication failed|transport '.*' not allowed/i;
  const permanent = isGone.test(words);
  const facts = {
    code: "E_GIT",
    failureClass: permanent ? ("not-found" as const) : ("unavailable" as const),
    message: `'git ${commandOf(args)}' failed: ${words.trim() || "it did not say why"}`,
  };
  return new WorkFailedError(facts, { again: !permanent });
}

function environment(folder: string): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin",
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    LC_ALL: "C",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    SSH_ASKPASS: "/bin/false",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_NO_LAZY_FETCH: "1",
  };
}

async function recordGroup(folder: string, pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  await writeFile(join(folder, GIT_PID_FILE), `${pid} ${processStartTime(pid) ?? ""}`.trim(), {
    mode: 0o600,
  });
}

function end(child: ChildProcess): void {
  child.stdout?.destroy();
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) killGroup(child.pid);
}

/** Ends a process group at once. One that has ended already is no fault. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

async function watchSize(folder: string): Promise<never> {
  for (;;) {
    if ((await sizeOf(folder)) > MAX_CLONE_BYTES) throw tooLarge("the repository", MAX_CLONE_BYTES);
    await sleep(LOOK_EVERY_MS);
  }
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      try {
        return (await lstat(join(folder, entry))).size;
      } catch (error) {
        // Git has moved or removed it meanwhile.
        if (error instanceof Error && "code" in error) return 0;
        throw error;
      }
    }),
  );
  return sizes.reduce((total, size) => total + size, 0);
}
