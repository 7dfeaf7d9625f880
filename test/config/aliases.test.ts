/** Variables of the Python system, against what was recorded of it (test/vectors) where that was no defect. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as z from "zod";
import { ALIAS_RULES, loadConfig, type NodeConfig, SETTINGS, UNUSED_VARIABLES } from "../../src/config.ts";
import { oldSwitch } from "../../src/config/aliases.ts";
import { ConfigError } from "../../src/errors.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mcpp-aliases-"));
});
after(() => rm(folder, { recursive: true, force: true }));

type Env = Readonly<Record<string, string>>;

function load(env: Env, flags: Record<string, unknown> = {}): ReturnType<typeof loadConfig> {
  return loadConfig({ env: { HOME: folder, ...env }, flags });
}

const config = (env: Env): NodeConfig => load(env).config;

const listen = (host: string): readonly string[] =>
  config({ IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_HOST: host }).listen;

const envSchema = z.record(z.string(), z.string());
const vectors = <T>(name: string, schema: z.ZodType<T>): T =>
  schema.parse(JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8")));

const server = vectors(
  "config",
  z.object({
    server_from_env: z.array(z.object({ env: envSchema, config: z.record(z.string(), z.unknown()) })),
  }),
).server_from_env;
const discovery = vectors(
  "discovery",
  z.object({
    bootstrap_env: z.array(
      z.object({ env: z.string().nullable(), peers: z.array(z.string()), explicit: z.boolean() }),
    ),
    ports: z.array(z.object({ env: envSchema, service_port: z.number() })),
    env_bool: z.array(
      z.object({ value: z.string().nullable(), default_true: z.boolean(), default_false: z.boolean() }),
    ),
  }),
);

describe("the variables of the HTTP server", () => {
  // Not as recorded: the default name is ours, the default host is loopback (D-8), an empty variable counts as unset.
  for (const { env, config: recorded } of server)
    it(`mean what they meant: ${JSON.stringify(env)}`, () => {
      if (Object.values(env).includes("")) return assert.deepEqual(config(env), config({}));
      if ("raises" in recorded)
        return assert.throws(() => config(env), { name: "ConfigError", message: /MCP_PORT/ });
      const { name, host, port, mountPath, logLevel, p2pTools, taskqueueTools } = config(env);
      assert.equal(name, "MCP_SERVER_NAME" in env ? recorded["name"] : "mcplusplus");
      assert.equal(host, "MCP_HOST" in env ? recorded["host"] : "127.0.0.1");
      assert.equal(port, recorded["port"]);
      assert.equal(mountPath, recorded["mount_path"]);
      assert.equal(logLevel === "debug", recorded["debug"]);
      assert.equal(p2pTools, recorded["enable_p2p_tools"]);
      assert.equal(taskqueueTools, recorded["enable_taskqueue_tools"]);
    });

  it("switch the libp2p host off with MCP_DISABLE_P2P", () => {
    assert.equal(config({ MCP_DISABLE_P2P: "1" }).p2p, false);
    assert.equal(config({ MCP_DISABLE_P2P: "0" }).p2p, true);
  });

  it("take a list of origins, but never any origin", () => {
    const listed = config({ MCP_CORS_ORIGINS: "https://a.example, http://localhost:3000" });
    assert.deepEqual(listed.corsOrigins, ["https://a.example", "http://localhost:3000"]);
    assert.throws(() => config({ MCP_CORS_ORIGINS: "*" }), {
      name: "ConfigError",
      message: /MCP_CORS_ORIGINS.*\*/,
    });
  });

  it("do not open the server to other machines", () => {
    assert.throws(() => config({ MCP_HOST: "0.0.0.0" }), ConfigError);
  });
});

describe("the variables of the queue service", () => {
  // Not as recorded: without the variable there are no public bootstrap peers (D-35).
  for (const { env, peers, explicit } of discovery.bootstrap_env)
    it(`read bootstrap peers from ${JSON.stringify(env)}`, () => {
      const given = config(
        env === null ? {} : { IPFS_ACCELERATE_PY_TASK_P2P_BOOTSTRAP_PEERS: env },
      ).bootstrap;
      assert.deepEqual(given, explicit ? peers : []);
    });

  // Not as recorded: without a port of its own the node takes a free one, on loopback (D-35).
  for (const { env, service_port: port } of discovery.ports)
    it(`read the listen port from ${JSON.stringify(env)}`, () => {
      const named = Object.keys(env).some((name) => name.endsWith("_LISTEN_PORT"));
      assert.deepEqual(config(env).listen, [`/ip4/127.0.0.1/tcp/${named ? port : 0}`]);
    });

  for (const { value, default_true: whenOn, default_false: whenOff } of discovery.env_bool)
    it(`read the switch ${JSON.stringify(value)}`, () => {
      if (value === null) return;
      assert.equal(oldSwitch(value), whenOn);
      assert.equal(oldSwitch(value), whenOff);
      // An empty variable counts as unset here.
      if (value !== "") assert.equal(config({ IPFS_ACCELERATE_PY_MCP_P2P_SERVICE: value }).p2p, whenOn);
    });

  it("join host and port to one multiaddr", () => {
    assert.deepEqual(listen("0.0.0.0"), ["/ip4/0.0.0.0/tcp/9710"]);
    assert.deepEqual(listen("::"), ["/ip6/::/tcp/9710"]);
    assert.deepEqual(listen("queue.example"), ["/dns4/queue.example/tcp/9710"]);
  });

  it("refuse a port that is none", () => {
    assert.throws(() => config({ IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_PORT: "many" }), {
      name: "ConfigError",
      message: /IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_PORT/,
    });
  });

  it("take the second package's name if the first one's is unset or empty", () => {
    const both = { IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_PORT: "", IPFS_DATASETS_PY_TASK_P2P_LISTEN_PORT: "5" };
    assert.deepEqual(config(both).listen, ["/ip4/127.0.0.1/tcp/5"]);
    assert.deepEqual(config({ ...both, IPFS_ACCELERATE_PY_TASK_P2P_LISTEN_PORT: "4" }).listen, [
      "/ip4/127.0.0.1/tcp/4",
    ]);
  });

  it("switch the announce file off by a word, and take bootstrap peers only if they are dialled", () => {
    assert.equal(config({ IPFS_DATASETS_PY_TASK_P2P_ANNOUNCE_FILE: "No" }).announceFile, "off");
    assert.equal(config({ IPFS_DATASETS_PY_TASK_P2P_ANNOUNCE_FILE: "/x/a.json" }).announceFile, "/x/a.json");
    const peers = { IPFS_ACCELERATE_PY_TASK_P2P_BOOTSTRAP_PEERS: "/ip4/1.1.1.1/tcp/1" };
    assert.deepEqual(config({ ...peers, IPFS_DATASETS_PY_TASK_P2P_BOOTSTRAP_DIAL: "off" }).bootstrap, []);
  });

  it("refuse a token that can be guessed, without showing it", () => {
    assert.throws(
      () => config({ IPFS_ACCELERATE_PY_TASK_P2P_TOKEN: "hunter2" }),
      (error) => error instanceof ConfigError && !error.message.includes("hunter2"),
    );
  });
});

describe("precedence of old variables", () => {
  it("is below MCPP_ variables and above the file", async () => {
    const path = join(folder, "config.toml");
    await writeFile(path, "port = 1");
    const env = { MCPP_CONFIG: path, MCP_PORT: "2" };
    assert.equal(config(env).port, 2);
    assert.equal(config({ ...env, MCPP_PORT: "3" }).port, 3);
    assert.equal(load(env, { port: "4" }).config.port, 4);
  });

  it("lets a token file named by MCPP_TOKEN_FILE win over the old token", async () => {
    const tokenFile = join(folder, "token");
    await writeFile(tokenFile, "f".repeat(32), { mode: 0o600 });
    const env = { IPFS_ACCELERATE_PY_TASK_P2P_TOKEN: "o".repeat(32) };
    assert.equal(config({ ...env, MCPP_TOKEN_FILE: tokenFile }).token, "f".repeat(32));
    assert.equal(config(env).token, "o".repeat(32));
    assert.throws(() => config({ MCPP_TOKEN: "n".repeat(32), MCPP_TOKEN_FILE: tokenFile }), ConfigError);
  });

  it("shows where a value is from", () => {
    assert.equal(load({ MCP_PORT: "2" }).origins.get("port"), "MCP_PORT");
  });
});

describe("the notice about old variables", () => {
  it("is one, and names each that is in force with its new name", () => {
    const { warnings } = load({
      MCP_PORT: "1",
      MCP_DISABLE_P2P: "yes",
      MCP_HOST: "localhost",
      MCPP_HOST: "127.0.0.1",
    });
    assert.deepEqual(warnings, [
      "variables of the Python system are in force: MCP_PORT (now MCPP_PORT), MCP_DISABLE_P2P (now MCPP_P2P and MCPP_P2P_TOOLS)",
    ]);
  });

  it("is left out when there is none", () => {
    assert.deepEqual(load({ MCP_DEBUG: "0" }).warnings, []);
  });
});

describe("the variables of finding peers", () => {
  const at = "/ip4/192.0.2.1/tcp/1";
  it("mean what they meant", () => {
    assert.deepEqual(config({ CACHE_BOOTSTRAP_PEERS: ` ${at} ,,` }).bootstrap, [at]);
    const both = { CACHE_BOOTSTRAP_PEERS: at, IPFS_ACCELERATE_PY_TASK_P2P_BOOTSTRAP_PEERS: `${at}2` };
    assert.deepEqual(config(both).bootstrap, [`${at}2`]);
    assert.equal(config({ IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP: "yes" }).publicBootstrap, true);
    assert.equal(config({ IPFS_ACCELERATE_PY_TASK_P2P_DNSADDR_RESOLVE: "off" }).dnsaddr, false);
    assert.equal(config({ IPFS_ACCELERATE_P2P_CACHE_DIR: "/var/peers" }).peerFolder, "/var/peers");
    assert.equal(config({ IPFS_DATASETS_PY_TASK_P2P_MDNS: "0" }).mdns, "off");
    assert.equal(config({ IPFS_ACCELERATE_PY_TASK_P2P_MDNS: "on" }).mdns, "auto");
  });

  it("change nothing while they are unset: nobody beyond this machine is asked", () => {
    const { bootstrap, publicBootstrap, peerFolder, mdns } = config({});
    assert.deepEqual([bootstrap, publicBootstrap, peerFolder, mdns], [[], false, "off", "auto"]);
  });
});

it("explains every variable or gives it a counterpart, never both", () => {
  const used = new Set(ALIAS_RULES.flatMap((rule) => rule.variables));
  const unused = UNUSED_VARIABLES.flatMap((entry) => entry.variables);
  assert.deepEqual(
    unused.filter((name) => used.has(name)),
    [],
  );
  for (const { setting } of ALIAS_RULES) assert.ok(setting in SETTINGS);
});
