/**
 * What is published, as a user gets it: packed, installed into an empty folder without a registry, and run there.
 *
 * Takes half a minute, so `npm test` leaves it out: `npm run test:package`.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
/** What an installation may take at most; it is about 3 MB. */
const MAX_INSTALLED_BYTES = 6 * 1024 * 1024;
/** Tells on standard error which files are loaded. */
const TRACER = `
import { registerHooks } from "node:module";
registerHooks({ load(url, context, next) {
  if (url.startsWith("file:")) process.stderr.write("loaded " + new URL(url).pathname + "\\n");
  return next(url, context);
} });
`;
const CONSUMER = `
import { type Client, connect, createNode, loadConfig, McpError, type Node, type TaskQueue } from "mcplusplus";
import { moveOnAfter, type Nursery, openNursery } from "mcplusplus/nursery";
import { merkleClockRoot } from "mcplusplus/workflow";

export async function use(nursery: Nursery): Promise<string> {
  const node: Node = await createNode(loadConfig({ flags: { port: "0" } }).config);
  const queue: TaskQueue = node.queue;
  const client: Client = await connect(node);
  const transport = await node.connect();
  transport.onmessage = (message): void => { const version: "2.0" = message.jsonrpc; void version; };
  const [tool] = await client.listTools();
  const schema: "object" | undefined = tool?.inputSchema.type;
  // @ts-expect-error a task has a type
  await queue.submit({ payload: {} });
  void moveOnAfter; void openNursery; void nursery; void schema;
  return merkleClockRoot([["a", 1n]]);
}
export const isOurs = (error: unknown): boolean => error instanceof McpError;
`;

describe("the published package", () => {
  let folder = "";
  let installed = "";
  let mcpp = "";
  let environment: NodeJS.ProcessEnv = {};

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mcpp-package-"));
    const app = join(folder, "app");
    installed = join(app, "node_modules/mcplusplus");
    mcpp = join(app, "node_modules/.bin/mcpp");
    environment = {
      ...process.env,
      MCPP_CONFIG: join(folder, "none.toml"),
      MCPP_DATA_DIR: join(folder, "data"),
    };
    await mkdir(app);
    await writeFile(join(folder, "none.toml"), "");
    await writeFile(
      join(app, "package.json"),
      JSON.stringify({ name: "app", private: true, type: "module" }),
    );
    await run("npm", ["pack", "--pack-destination", folder], { cwd: ROOT });
    const [tarball = ""] = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    await run("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, tarball)], {
      cwd: app,
    });
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it("is one package without dependencies and install scripts", async () => {
    const packages = (await readdir(join(folder, "app/node_modules"))).filter(
      (name) => !name.startsWith("."),
    );
    assert.deepEqual(packages, ["mcplusplus"]);
    const manifest = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
    for (const script of ["preinstall", "install", "postinstall"]) assert.ok(!(script in manifest.scripts));
    assert.deepEqual(manifest.dependencies ?? {}, {});
  });

  it("stays small", async () => {
    const entries = await readdir(installed, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name))));
    const bytes = texts.reduce((sum, text) => sum + text.length, 0);
    assert.ok(bytes < MAX_INSTALLED_BYTES, `${bytes} bytes`);
  });

  it("carries the licences of what it bundles", async () => {
    const text = await readFile(join(installed, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of [
      "libp2p",
      "zod",
      "pino",
      "commander",
      "@modelcontextprotocol/server",
      "@libp2p/noise",
    ])
      assert.match(text, new RegExp(`^${name} \\d`, "m"));
  });

  it("tells its version", async () => {
    const { stdout } = await run(process.execPath, [mcpp, "--version"], { env: environment });
    const manifest = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    assert.equal(stdout.trim(), manifest.version);
  });

  it("serves, is called, and ends when asked to", async () => {
    const { child, url } = await serve();
    const { stdout } = await run(
      process.execPath,
      [mcpp, "submit", "echo", '{"a":1}', "--wait", "--json", "--node", url],
      {
        env: environment,
      },
    );
    assert.match(stdout, /"ok":true/);
    assert.equal(await stop(child), 0);
  });

  it("loads nothing of libp2p to print help or to call over HTTP", async () => {
    await writeFile(join(folder, "trace.mjs"), TRACER);
    const traced = async (...args: string[]): Promise<string[]> => {
      const { stderr } = await run(process.execPath, ["--import", join(folder, "trace.mjs"), mcpp, ...args], {
        env: environment,
      });
      return [...stderr.matchAll(/^loaded (.*)$/gm)].map((match) => match[1] ?? "");
    };
    const { child, url } = await serve();
    try {
      const forHelp = await traced("--help");
      const forCall = await traced("call", "p2p_taskqueue_status", "--node", url);
      assert.deepEqual(await withLibp2p([...forHelp, ...forCall]), []);
      assert.ok(forCall.some((path) => path.includes("/connect-")));
      const all = (await readdir(join(installed, "dist/chunks"))).map((name) =>
        join(installed, "dist/chunks", name),
      );
      assert.notDeepEqual(await withLibp2p(all), []);
    } finally {
      await stop(child);
    }
  });

  it("loads the client of GitHub only where a registry is configured", async () => {
    const trace = join(folder, "trace.mjs");
    await writeFile(trace, TRACER);
    const client = async (...args: string[]): Promise<string[]> => {
      const all = [mcpp, "serve", "--json", "--port", "0", ...args];
      const child = spawn(process.execPath, ["--import", trace, ...all], {
        env: environment,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let loaded = "";
      child.stderr.on("data", (chunk: Buffer) => (loaded += chunk.toString()));
      await once(createInterface(child.stdout), "line");
      await stop(child);
      const paths = [...loaded.matchAll(/^loaded (.*)$/gm)].map((match) => match[1] ?? "");
      assert.notDeepEqual(await containing("@libp2p/", paths), []);
      return containing("octokit-core.js", paths);
    };
    assert.deepEqual(await client(), []);
    assert.equal((await client("--github-registry", "o/r", "--github-api", "http://127.0.0.1:9")).length, 1);
  });

  it("works as a library", async () => {
    const script = `
      import { callTool, createNode, loadConfig } from "mcplusplus";
      import { run } from "mcplusplus/nursery";
      import { merkleClockRoot } from "mcplusplus/workflow";
      const node = await createNode(loadConfig({ flags: { port: "0", store: "memory" } }).config);
      const status = await callTool(node, "p2p_taskqueue_status");
      await node.close();
      console.log(JSON.stringify([status.ok, typeof run, merkleClockRoot([]).length]));`;
    await writeFile(join(folder, "app/use.mjs"), script);
    const { stdout } = await run(process.execPath, ["use.mjs"], {
      cwd: join(folder, "app"),
      env: environment,
    });
    assert.deepEqual(JSON.parse(stdout), [true, "function", 64]);
  });

  it("has declarations that a plain project compiles against", async () => {
    const app = join(folder, "app");
    const compilerOptions = {
      module: "nodenext",
      target: "es2024",
      lib: ["es2024", "esnext.disposable"],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types: ["node"],
      noEmit: true,
    };
    await writeFile(join(app, "use.ts"), CONSUMER);
    await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.ts"] }));
    await symlink(join(ROOT, "node_modules/@types"), join(app, "node_modules/@types"));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", app]).catch((error: unknown) => {
      throw new Error(`tsc: ${String(Reflect.get(Object(error), "stdout"))}`, { cause: error });
    });
    assert.equal(stdout, "");
  });

  for (const version of ["18.20.4", "20.20.2", "22.18.0"])
    it(`says in one line what it needs on Node ${version}`, async () => {
      const fake = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`;
      const preload = join(folder, `node-${version}.cjs`);
      await writeFile(preload, fake);
      await assert.rejects(run(process.execPath, ["--require", preload, mcpp, "serve"]), (error) => {
        assert.match(String(Reflect.get(Object(error), "stderr")), /^mcpp needs Node\.js 22\.19 .*\n$/);
        return Reflect.get(Object(error), "code") === 1;
      });
    });

  async function serve(): Promise<{ child: ChildProcess; url: string }> {
    const child = spawn(process.execPath, [mcpp, "serve", "--json", "--quiet", "--port", "0"], {
      env: environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line]: unknown[] = await once(createInterface(child.stdout), "line");
    return { child, url: JSON.parse(String(line)).url };
  }
});

async function stop(child: ChildProcess): Promise<unknown> {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const [code]: unknown[] = await ended;
  return code;
}

/** Those of the files that hold a part of libp2p. */
function withLibp2p(paths: readonly string[]): Promise<string[]> {
  return containing("@libp2p/", paths);
}

/** Those of the files that hold a text. */
async function containing(text: string, paths: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
  return paths.filter((_, index) => texts[index]?.includes(text));
}
