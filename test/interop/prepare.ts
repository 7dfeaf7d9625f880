/**
 * The programs of the other languages, made ready: a private Python environment and a Go binary in a folder outside the
 * tree, made once for each list of versions.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ForeignOptions, type ForeignPeer, type Program, startForeign } from "./foreign-peer.ts";

const run = promisify(execFile);
const HERE = import.meta.dirname;
/** The first build compiles all of go-libp2p: three minutes on two busy cores. */
const PREPARE_LIMIT_MS = 15 * 60_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
/** The words of pip and go for what is not there, and what it means. */
const ABSENCES: readonly { readonly words: RegExp; readonly meaning: string }[] = [
  {
    words:
      /connection broken by|Failed to establish a new connection|NameResolution|Temporary failure in name|dial tcp|no such host|i\/o timeout|Network is unreachable/i,
    meaning: "what it needs cannot be downloaded: there is no network",
  },
  { words: /No matching distribution found for \S+/, meaning: "what it needs cannot be downloaded" },
  { words: /GOPROXY=off/, meaning: "what it needs cannot be downloaded" },
  {
    words: /ensurepip is not available|No module named \W?(venv|pip)/,
    meaning: "this Python cannot make an environment",
  },
  { words: /requires go >= \S+ \([^)]*\)/, meaning: "this Go is too old" },
];

/** A library of another language. */
export interface Foreign {
  readonly name: "py-libp2p" | "go-libp2p";
  /** Why it is not here; undefined if it is. */
  readonly missing: string | undefined;
  /** Library and language, with versions; empty if it is missing. */
  readonly version: string;
  /** Starts a peer. */
  start(options?: ForeignOptions): Promise<ForeignPeer>;
}

/** Where everything is that was downloaded or built. */
export function cacheFolder(): string {
  const given = process.env["MCPP_INTEROP_CACHE"];
  if (given !== undefined && given !== "") return given;
  const caches = process.env["XDG_CACHE_HOME"];
  return join(
    caches !== undefined && caches !== "" ? caches : join(homedir(), ".cache"),
    "mcplusplus-interop",
  );
}

/** Makes py-libp2p ready. */
export function preparePython(): Promise<Foreign> {
  return prepare("py-libp2p", async () => {
    const python = await firstThatRuns(["python3.11", "python3.12", "python3.13", "python3"], ["--version"]);
    if (!python) return "there is no Python 3 here";
    const folder = join(HERE, "python");
    const version = python.output.trim().replace("Python ", "");
    const digest = digestOf(version, readFileSync(join(folder, "requirements.txt")));
    const venv = join(cacheFolder(), `python-${digest}`);
    await once(venv, async () => {
      await execute(python.command, ["-m", "venv", venv]);
      const requirements = join(folder, "requirements.txt");
      const options = ["--no-deps", "--no-input", "--disable-pip-version-check"];
      await execute(join(venv, "bin/python"), ["-m", "pip", "install", ...options, "-r", requirements]);
    });
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: "1" };
    return { command: join(venv, "bin/python"), args: [join(folder, "peer.py")], env };
  });
}

/** Makes go-libp2p ready. */
export function prepareGo(): Promise<Foreign> {
  return prepare("go-libp2p", async () => {
    const go = await firstThatRuns(["go"], ["version"]);
    if (!go) return "there is no Go here";
    const folder = join(HERE, "go");
    const sources = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
    const binary = join(cacheFolder(), `go-${digestOf(go.output, ...sources)}`, "peer");
    await once(join(binary, ".."), async () => {
      const env = {
        ...process.env,
        GOMODCACHE: join(cacheFolder(), "go-modules"),
        GOCACHE: join(cacheFolder(), "go-build"),
        GOTOOLCHAIN: "local",
        // Modules are written without write permission otherwise, so the folder could not be removed.
        GOFLAGS: "-mod=readonly -modcacherw -buildvcs=false",
      };
      await execute("go", ["build", "-trimpath", "-o", binary, "."], { cwd: folder, env });
    });
    return { command: binary, args: [], env: process.env };
  });
}

async function prepare(name: Foreign["name"], make: () => Promise<Program | string>): Promise<Foreign> {
  const made = await make().catch((error: unknown) => {
    const why = absenceIn(error);
    if (why === undefined) throw error;
    return why;
  });
  if (typeof made === "string")
    return { name, missing: made, version: "", start: () => Promise.reject(new Error(made)) };
  // Reads everything from the disk once, so that no scenario waits for it.
  await using peer = await startForeign(made);
  const { version } = peer;
  return { name, missing: undefined, version, start: (options) => startForeign(made, options) };
}

/** What an error of pip or go says is not there; undefined if it says something else. */
function absenceIn(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const said = ["stdout", "stderr"].map((name) => String(Reflect.get(error, name) ?? "")).join("\n");
  for (const { words, meaning } of ABSENCES) {
    const found = words.exec(said);
    if (found) return `${meaning} (${found[0]})`;
  }
  return undefined;
}

/** Makes a folder unless it was made whole before. */
async function once(folder: string, make: () => Promise<void>): Promise<void> {
  const done = join(folder, "complete");
  if (existsSync(done)) return;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await make();
  await writeFile(`${done}.new`, new Date().toISOString());
  await rename(`${done}.new`, done);
}

function digestOf(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex").slice(0, 12);
}

async function execute(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const limits = { timeout: PREPARE_LIMIT_MS, maxBuffer: MAX_OUTPUT_BYTES };
  const { stdout, stderr } = await run(command, [...args], { ...limits, ...options });
  return stdout === "" ? stderr : stdout;
}

async function firstThatRuns(
  commands: readonly string[],
  args: readonly string[],
): Promise<{ readonly command: string; readonly output: string } | undefined> {
  for (const command of commands) {
    const output = await execute(command, args).catch(() => undefined);
    if (output !== undefined) return { command, output };
  }
  return undefined;
}
