import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import { commands } from "../../src/cli/commands/index.ts";
import { SETTING_NAMES, SETTINGS } from "../../src/config.ts";
import { mcpp, openHome } from "./support/mcpp.ts";

let home: Awaited<ReturnType<typeof openHome>>;
before(async () => {
  home = await openHome();
});
after(() => home.close());

const shownSchema = z.object({
  ok: z.literal(true),
  file: z.string().nullable(),
  settings: z.record(z.string(), z.object({ value: z.unknown(), origin: z.string() })),
});

const failureSchema = z.object({
  ok: z.literal(false),
  error: z.string(),
  error_code: z.string(),
  retryable: z.boolean(),
});

describe("mcpp --help", () => {
  it("lists every command and the exit codes", async () => {
    const { code, stdout } = await mcpp(home.dir, ["--help"]);
    assert.equal(code, 0);
    for (const command of commands)
      assert.match(stdout, new RegExp(`^  ${command.name.split(" ")[0]}\\b`, "m"));
    assert.match(stdout, / 130 {2}interrupted/);
  });

  it("shows examples, the JSON shape and every setting's variable for serve", async () => {
    const { code, stdout } = await mcpp(home.dir, ["serve", "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n {2}mcpp serve/);
    assert.match(stdout, /With --json:\n/);
    for (const name of SETTING_NAMES)
      if (SETTINGS[name].flag) assert.ok(stdout.includes(SETTINGS[name].env), name);
  });

  it("loads neither libp2p nor the MCP SDK nor zod", async () => {
    const trace = join(home.dir, "trace.mjs");
    await writeFile(
      trace,
      `import { registerHooks } from "node:module";
       registerHooks({ load(url, context, next) {
         if (/node_modules\\/(@?libp2p|@modelcontextprotocol|zod|pino)/.test(url)) process.stderr.write("LOADED " + url + "\\n");
         return next(url, context);
       } });`,
    );
    const { code, stderr } = await mcpp(home.dir, ["--help"], { NODE_OPTIONS: `--import ${trace}` });
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /LOADED/);
    const heavy = await mcpp(home.dir, ["id"], { NODE_OPTIONS: `--import ${trace}` });
    assert.match(heavy.stderr, /LOADED/, "the trace itself works");
  });

  it("gives every command examples that begin with its name", () => {
    for (const command of commands) {
      assert.ok(command.examples.length > 0, command.name);
      for (const { line } of command.examples) assert.ok(line.includes(`mcpp ${command.name}`), line);
    }
  });
});

describe("wrong usage", { concurrency: 3 }, () => {
  before(() => writeFile(join(home.dir, "open.token"), "t".repeat(40), { mode: 0o644 }));

  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["an unknown command, with the one that was meant", ["sumbit"], /Did you mean submit\?/],
    ["an unknown option, with the one that was meant", ["serve", "--prot", "1"], /Did you mean --port\?/],
    ["a missing argument", ["wait"], /missing required argument 'task-id'/],
    ["too many arguments", ["wait", "a", "b"], /too many arguments/],
    ["a payload that is no JSON", ["submit", "echo", "{oops"], /the payload must be a JSON object/],
    [
      "a payload that is no object",
      ["submit", "echo", "[1]"],
      /the payload must be a JSON object, not \[1\]/,
    ],
    ["a tool argument without a value", ["call", "echo", "word"], /'word' must be key=value/],
    ["a bad duration", ["wait", "x", "--timeout", "soon"], /--timeout must be a duration such as/],
    ["a bad state", ["tasks", "--state", "pending"], /--state must be one of queued, running/],
    [
      "a host beyond loopback, with the reason",
      ["serve", "--host", "0.0.0.0"],
      /--host must be .*no authentication/,
    ],
    ["a token file that others can read", ["status", "--token-file", "open.token"], /chmod 600/],
    ["a worker without a queue", ["worker"], /--work-for discovered/],
  ];
  for (const [name, args, message] of cases) {
    it(`refuses ${name}`, async () => {
      const { code, stdout, stderr } = await mcpp(home.dir, args);
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.match(stderr, message);
    });
  }

  it("is JSON as well with --json, also where no command was understood", async () => {
    for (const args of [
      ["serve", "--prot", "1", "--json"],
      ["sumbit", "--json"],
      ["wait", "--json"],
    ]) {
      const { code, stdout, stderr } = await mcpp(home.dir, args);
      assert.equal(code, 1);
      assert.equal(failureSchema.parse(JSON.parse(stdout)).error_code, "E_INVALID_INPUT");
      assert.match(stderr, /^error: /);
    }
  });

  it("prints a failure as JSON on standard output with --json, and the words on standard error", async () => {
    const { code, stdout, stderr } = await mcpp(home.dir, ["submit", "echo", "{oops", "--json"]);
    assert.equal(code, 1);
    assert.equal(failureSchema.parse(JSON.parse(stdout)).error_code, "E_INVALID_INPUT");
    assert.match(stderr, /^error: the payload/);
  });
});

describe("a node that is not there", () => {
  it("is exit code 4, with what to do", async () => {
    const { code, stdout, stderr } = await mcpp(home.dir, [
      "tasks",
      "--node",
      `http://127.0.0.1:${await freePort()}/mcp`,
      "--json",
    ]);
    assert.equal(code, 4, stderr);
    assert.equal(failureSchema.parse(JSON.parse(stdout)).error_code, "E_UNREACHABLE");
    assert.match(stderr, /mcpp serve/);
  });
});

describe("mcpp config show", () => {
  it("says of each setting what it is and where it is from", async () => {
    const folder = join(home.dir, "xdg", "mcplusplus");
    await mkdir(folder, { recursive: true });
    await writeFile(
      join(folder, "config.toml"),
      'port = 7001\nname = "from-file"\nannounce_file = "a.json"\n',
    );
    const env = { XDG_CONFIG_HOME: join(home.dir, "xdg"), MCPP_PORT: "7002", MCPP_WORKERS: "9" };
    const { code, stdout } = await mcpp(
      home.dir,
      ["config", "show", "--json", "--workers", "3", "--no-http"],
      env,
    );
    assert.equal(code, 0);
    const { settings, file } = shownSchema.parse(JSON.parse(stdout));
    const path = join(folder, "config.toml");
    assert.equal(file, path);
    assert.deepEqual(pick(settings["port"]), [7002, "MCPP_PORT"]);
    assert.deepEqual(pick(settings["workers"]), [3, "--workers"]);
    assert.deepEqual(pick(settings["http"]), [false, "--no-http"]);
    assert.deepEqual(pick(settings["name"]), ["from-file", `${path}: name`]);
    assert.deepEqual(pick(settings["announceFile"]), [join(folder, "a.json"), `${path}: announce_file`]);
    assert.deepEqual(pick(settings["store"]), ["sqlite", "default"]);
    for (const name of SETTING_NAMES) assert.ok(name in settings, name);
  });

  it("never shows the token, nor a password in a URL", async () => {
    const secret = "s3cret-".repeat(6);
    const env = { MCPP_TOKEN: secret, MCPP_MOUNTS: "a=https://user:hunter2@example.org/mcp" };
    for (const args of [
      ["config", "show"],
      ["config", "show", "--json"],
    ]) {
      const { code, stdout, stderr } = await mcpp(home.dir, args, env);
      assert.equal(code, 0);
      assert.doesNotMatch(stdout + stderr, /s3cret|hunter2/);
      assert.match(stdout, /hidden/);
    }
    const short = await mcpp(home.dir, ["config", "show"], { MCPP_TOKEN: "s3cret" });
    assert.equal(short.code, 1);
    assert.doesNotMatch(short.stdout + short.stderr, /s3cret/);
  });

  it("shows of mounted servers the program or host only", async () => {
    const mounts = ["u=http://user:SECRET@example.org/mcp?key=SECRET", "c=cmd --token=SECRET x"];
    const flags = mounts.flatMap((mount) => ["--mount", mount]);
    const node = ["--node", "http://user:SECRET@127.0.0.1:1/mcp?key=SECRET"];
    for (const json of [[], ["--json"]]) {
      const { code, stdout, stderr } = await mcpp(home.dir, ["config", "show", ...flags, ...node, ...json]);
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stdout + stderr, /SECRET/);
      assert.match(stdout, /http:\/\/example\.org\/…/);
      assert.match(stdout, /cmd …\(2 arguments\)/);
    }
    const bad = await mcpp(home.dir, ["config", "show", "--mount", "Bad=cmd --token=SECRET"]);
    assert.equal(bad.code, 1);
    assert.doesNotMatch(bad.stdout + bad.stderr, /SECRET/);
  });

  it("warns of a variable that is no setting", async () => {
    const { code, stderr } = await mcpp(home.dir, ["config", "show"], { MCPP_PROT: "1" });
    assert.equal(code, 0);
    assert.match(stderr, /MCPP_PROT is not a setting.*did you mean MCPP_PORT/);
  });
});

describe("mcpp id", () => {
  it("makes an identity that only its owner can read, and keeps to it", async () => {
    const first = await mcpp(home.dir, ["id"]);
    const second = await mcpp(home.dir, ["id"]);
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /^12D3KooW\w+\n$/);
    assert.equal(second.stdout, first.stdout);
  });
});

function pick(setting: { readonly value?: unknown; readonly origin: string } | undefined): unknown[] {
  return [setting?.value, setting?.origin];
}

/** A port on which nothing listens. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
