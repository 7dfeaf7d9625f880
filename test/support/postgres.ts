/** A PostgreSQL server of the test's own: a temporary folder, a socket in it, a free port of loopback, fsync on. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const DEBIAN = "/usr/lib/postgresql";
const MIN_VERSION = 15;
const USER = "mcpp";
const PASSWORD = "correct horse:@/%";
const READY_LIMIT_MS = 60_000;

function findBin(): string | undefined {
  if (process.platform === "win32") return undefined;
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).map(Number) : [];
  const best = Math.max(...versions.filter((version) => version >= MIN_VERSION), 0);
  return best > 0 && existsSync(join(DEBIAN, String(best), "bin/initdb"))
    ? join(DEBIAN, String(best), "bin")
    : undefined;
}

interface Runner {
  readonly uid: number;
  readonly gid: number;
}

/** The server refuses to run as root; then another user runs it. */
function findRunner(): Runner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody");
  return { uid: Number(user?.[2] ?? 65_534), gid: Number(user?.[3] ?? 65_534) };
}

const bin = findBin();

/** Why there can be no server; false if there can. */
export const noServer: string | false =
  bin === undefined
    ? `PostgreSQL ${MIN_VERSION} or later is not installed (apt-get install postgresql)`
    : false;

/** Why tests with a server do not run; false if they do. For the option `skip`. */
export const noPostgres: string | false =
  process.env["MCPP_POSTGRES"] === undefined ? "they take minutes: npm run test:postgres" : noServer;

/** How a server is told to end: with its connections, or as a crash. */
export type StopMode = "fast" | "crash";

/** A running server. */
export interface PostgresServer {
  readonly folder: string;
  readonly port: number;
  readonly password: string;
  /** A URL over the socket, which asks for no password; each schema is a store of its own. */
  url(schema?: string, parameters?: string): string;
  /** A URL over TCP, with `password`. */
  tcpUrl(schema?: string, password?: string, port?: number): string;
  /** Ends the server; what it keeps stays. */
  stop(mode?: StopMode): Promise<void>;
  /** Starts it again. */
  start(): Promise<void>;
  /** Ends it and deletes everything. */
  remove(): Promise<void>;
}

/**
 * Makes and starts a server.
 *
 * @param settings - such as `max_connections=20`
 * @param files - contents of files for the settings, by their names in the data folder
 */
export async function startPostgres(
  settings: readonly string[] = [],
  files: Readonly<Record<string, string>> = {},
): Promise<PostgresServer> {
  if (bin === undefined) throw new Error("no PostgreSQL");
  const runner = findRunner();
  const folder = mkdtempSync(join(tmpdir(), "mcpp-pg-"));
  const [data, sockets, secret] = [join(folder, "data"), join(folder, "run"), join(folder, "password")];
  for (const made of [data, sockets]) mkdirSync(made, { mode: 0o700 });
  writeFileSync(secret, PASSWORD);
  if (runner) for (const owned of [folder, data, sockets, secret]) chownSync(owned, runner.uid, runner.gid);
  const identity = runner ?? {};
  const auth = ["--auth-local=trust", "--auth-host=scram-sha-256", `--pwfile=${secret}`];
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", USER, "-E", "UTF8", "--no-locale", "--no-sync", ...auth],
    {
      ...identity,
      cwd: folder,
      stdio: "pipe",
    },
  );
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(data, name), content, { mode: 0o600 });
    if (runner) chownSync(join(data, name), runner.uid, runner.gid);
  }
  const port = await freePort();
  const options = [
    "listen_addresses=127.0.0.1",
    `port=${port}`,
    `unix_socket_directories=${sockets}`,
    "fsync=on",
    "shared_buffers=32MB",
    "max_connections=100",
    ...settings,
  ];
  const args = ["-D", data, ...options.flatMap((option) => ["-c", option])];
  let server: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    server = spawn(join(bin, "postgres"), args, {
      ...identity,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    await ready(server);
  };
  const stop = async (mode: StopMode = "fast"): Promise<void> => {
    if (server?.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, "exit");
    server.kill(mode === "fast" ? "SIGINT" : "SIGQUIT");
    await exit;
  };
  await start();
  return {
    folder,
    port,
    password: PASSWORD,
    url: (schema = "mcplusplus", parameters = "") =>
      `${base(USER, "", schema)}&host=${encodeURIComponent(sockets)}&port=${port}${parameters}`,
    tcpUrl: (schema = "mcplusplus", password = PASSWORD, at = port) =>
      base(`${USER}:${encodeURIComponent(password)}`, `127.0.0.1:${at}`, schema),
    stop,
    start,
    async remove() {
      await stop("crash");
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function base(account: string, at: string, schema: string): string {
  return `postgres://${account}@${at}/postgres?schema=${schema}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function ready(server: ChildProcess): Promise<void> {
  const { stderr } = server;
  if (!stderr) throw new Error("no standard error");
  const said: string[] = [];
  const lines = createInterface({ input: stderr, signal: AbortSignal.timeout(READY_LIMIT_MS) });
  for await (const line of lines) {
    said.push(line);
    if (!line.includes("ready to accept connections")) continue;
    lines.close();
    // The rest is read and dropped, so that the server never waits for a reader.
    stderr.resume();
    return;
  }
  throw new Error(`the server did not start:\n${said.join("\n")}`);
}
