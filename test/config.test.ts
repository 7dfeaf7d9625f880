import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { childEnvironment, flagAttribute, loadConfig, SETTING_NAMES, SETTINGS } from "../src/config.ts";
import { durationText, parseDuration } from "../src/config/kind.ts";
import { nearMiss } from "../src/config/near-miss.ts";
import { ConfigError } from "../src/errors.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mcpp-config-"));
});
after(() => rm(folder, { recursive: true, force: true }));

let files = 0;
async function file(toml: string): Promise<string> {
  const path = join(folder, `c${files++}.toml`);
  await writeFile(path, toml, { mode: 0o600 });
  return path;
}

/** An environment without the tester's own configuration. */
const bare = (): Record<string, string> => ({ HOME: folder });

describe("precedence", () => {
  const places = ["flag", "env", "file"] as const;
  const subsets = Array.from({ length: 8 }, (_, bits) => places.filter((_place, i) => bits & (1 << i)));
  for (const given of subsets) {
    const wins = places.find((place) => given.includes(place)) ?? "default";
    it(`of ${given.join(" and ") || "nothing"} takes ${wins}`, async () => {
      const path = await file(given.includes("file") ? "port = 7003" : "");
      const loaded = loadConfig({
        flags: { config: path, ...(given.includes("flag") && { port: "7001" }) },
        env: { ...bare(), ...(given.includes("env") && { MCPP_PORT: "7002" }) },
      });
      const expected = {
        flag: [7001, "--port"],
        env: [7002, "MCPP_PORT"],
        file: [7003, `${path}: port`],
        default: [8000, "default"],
      };
      assert.deepEqual([loaded.config.port, loaded.origins.get("port")], expected[wins]);
    });
  }

  it("takes an empty variable as unset", () => {
    assert.equal(loadConfig({ env: { ...bare(), MCPP_PORT: "" } }).config.port, 8000);
  });

  it("lets either word of a switch overrule what comes after it", () => {
    assert.equal(
      loadConfig({ flags: { http: true }, env: { ...bare(), MCPP_HTTP: "off" } }).config.http,
      true,
    );
    const off = loadConfig({ flags: { http: false }, env: { ...bare(), MCPP_HTTP: "on" } });
    assert.deepEqual([off.config.http, off.origins.get("http")], [false, "--no-http"]);
  });

  it("reads the file of MCPP_CONFIG, which --config overrules", async () => {
    const env = { ...bare(), MCPP_CONFIG: await file("port = 1") };
    assert.equal(loadConfig({ env }).config.port, 1);
    assert.equal(loadConfig({ env, flags: { config: await file("port = 2") } }).config.port, 2);
  });
});

describe("a bad value", () => {
  const cases: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ["MCPP_PORT", { MCPP_PORT: "80.5" }, /^MCPP_PORT must be a whole number from 0 to 65535, not "80.5"/],
    ["MCPP_HTTP", { MCPP_HTTP: "maybe" }, /^MCPP_HTTP must be true or false/],
    ["MCPP_STORE", { MCPP_STORE: "redis" }, /must be one of sqlite, memory/],
    ["MCPP_LEASE", { MCPP_LEASE: "0.5s" }, /^MCPP_LEASE must be a duration .* from 1s to 1h/],
    ["MCPP_WORKERS", { MCPP_WORKERS: "257" }, /from 0 to 256/],
    ["MCPP_LISTEN", { MCPP_LISTEN: "0.0.0.0:4001" }, /must be a multiaddr such as/],
    ["MCPP_ALLOW_PEERS", { MCPP_ALLOW_PEERS: "bob" }, /must be a peer id/],
    ["MCPP_WORK_FOR", { MCPP_WORK_FOR: "everybody" }, /or the word discovered/],
    ["MCPP_MOUNTS name", { MCPP_MOUNTS: "Fs=x" }, /the name of lower-case letters/],
    ["MCPP_MOUNTS form", { MCPP_MOUNTS: "npx server" }, /must be name=target/],
    ["MCPP_MOUNTS twice", { MCPP_MOUNTS: "a=x\na=y" }, /names "a" twice/],
    ["MCPP_HOST", { MCPP_HOST: "192.168.0.1" }, /loopback/],
    ["MCPP_NODE", { MCPP_NODE: "localhost" }, /^MCPP_NODE must/],
  ];
  for (const [name, env, message] of cases) {
    it(`of ${name} is refused with its name, origin and what is allowed`, () => {
      assert.throws(
        () => loadConfig({ env: { ...bare(), ...env } }),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("in the file names the file and the key", async () => {
    const path = await file('lease = "1 day"');
    assert.throws(() => loadConfig({ env: bare(), flags: { config: path } }), {
      message: new RegExp(`${path}: lease must be`),
    });
  });

  it("of the token is not repeated", () => {
    assert.throws(
      () => loadConfig({ env: { ...bare(), MCPP_TOKEN: "short-secret" } }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.doesNotMatch(JSON.stringify([error.message, error.hint, String(error.cause)]), /short-secret/);
        return true;
      },
    );
  });
});

describe("the file", () => {
  it("is refused for a key that is no setting, with the one that was meant", async () => {
    const path = await file("prot = 1");
    assert.throws(() => loadConfig({ env: bare(), flags: { config: path } }), {
      message: /key 'prot' .*did you mean 'port'\?/,
    });
  });

  it("is refused with line and column where it is no TOML", async () => {
    const path = await file("port = 1\nname = \n");
    assert.throws(() => loadConfig({ env: bare(), flags: { config: path } }), {
      message: new RegExp(`${path}:2:\\d+\\) is not TOML`),
    });
  });

  it("must exist if it was named, and need not if it was not", () => {
    assert.throws(
      () => loadConfig({ env: bare(), flags: { config: join(folder, "none.toml") } }),
      ConfigError,
    );
    assert.equal(loadConfig({ env: bare() }).file, undefined);
  });

  it("may not hold the token itself", async () => {
    const path = await file(`token = "${"x".repeat(40)}"`);
    assert.throws(() => loadConfig({ env: bare(), flags: { config: path } }), ConfigError);
  });

  it("holds mounts as a table, lists as arrays, durations as text or milliseconds", async () => {
    const path = await file(
      'lease = "45s"\ndrain = 5000\nbootstrap = ["/ip4/10.0.0.1/tcp/4001"]\n[mounts]\nfs = "npx fs ."\nweb = "https://example.org/mcp"\n',
    );
    const { config } = loadConfig({ env: bare(), flags: { config: path } });
    assert.equal(config.leaseMs, 45_000);
    assert.equal(config.drainMs, 5000);
    assert.deepEqual(config.bootstrap, ["/ip4/10.0.0.1/tcp/4001"]);
    assert.deepEqual(config.mounts, [
      { name: "fs", target: "npx fs ." },
      { name: "web", target: "https://example.org/mcp" },
    ]);
  });
});

describe("paths", () => {
  it("start from the working folder in flags and environment, from the file's folder in the file", async () => {
    await mkdir(join(folder, "sub"), { recursive: true });
    const path = join(folder, "sub", "c.toml");
    await writeFile(path, 'announce_file = "a.json"');
    const { config } = loadConfig({
      env: { ...bare(), MCPP_DATA_DIR: "data" },
      flags: { config: path },
      cwd: "/home/u",
    });
    assert.equal(config.announceFile, join(folder, "sub", "a.json"));
    assert.equal(config.dataDir, "/home/u/data");
  });

  it("have ~ for the home folder", () => {
    assert.equal(
      loadConfig({ env: { ...bare(), MCPP_DATA_DIR: "~/x" } }).config.dataDir,
      join(homedir(), "x"),
    );
  });

  it("follow the XDG folders, of which relative ones are ignored", () => {
    assert.equal(dataDirOf({ HOME: "/h", XDG_DATA_HOME: "/x" }), "/x/mcplusplus");
    assert.equal(dataDirOf({ HOME: "/h", XDG_DATA_HOME: "x" }), "/h/.local/share/mcplusplus");
    assert.equal(dataDirOf({ HOME: "/h" }), "/h/.local/share/mcplusplus");
    assert.equal(
      loadConfig({ env: { HOME: "/h" } }).config.announceFile,
      "/h/.local/share/mcplusplus/announce.json",
    );
  });
});

describe("the token", () => {
  const secret = "t".repeat(40);

  it("comes from its file, trimmed", async () => {
    const path = await file(`${secret}\n`);
    const loaded = loadConfig({ env: bare(), flags: { tokenFile: path } });
    assert.equal(loaded.config.token, secret);
    assert.equal(loaded.origins.get("token"), `--token-file (${path})`);
  });

  it("is refused if its file holds too little or cannot be read", async () => {
    const path = await file("short");
    assert.throws(() => loadConfig({ env: bare(), flags: { tokenFile: path } }), ConfigError);
    assert.throws(() => loadConfig({ env: bare(), flags: { tokenFile: join(folder, "none") } }), ConfigError);
  });

  it("is refused if others can read its file", async () => {
    const path = await file(secret);
    await chmod(path, 0o640);
    assert.throws(() => loadConfig({ env: { ...bare(), MCPP_TOKEN_FILE: path } }), {
      message: /^MCPP_TOKEN_FILE names a file that others can read/,
    });
  });

  it("given twice in the environment is refused; a flag's file wins over the variable", async () => {
    const path = await file("f".repeat(40));
    assert.throws(
      () => loadConfig({ env: { ...bare(), MCPP_TOKEN: secret, MCPP_TOKEN_FILE: path } }),
      ConfigError,
    );
    assert.equal(
      loadConfig({ env: { ...bare(), MCPP_TOKEN: secret }, flags: { tokenFile: path } }).config.token,
      "f".repeat(40),
    );
  });
});

describe("warnings", () => {
  it("tell of listening beyond this machine with nobody allowed", () => {
    const listen = { ...bare(), MCPP_LISTEN: "/ip4/0.0.0.0/tcp/4001" };
    assert.match(loadConfig({ env: listen }).warnings.join(), /without a token/);
    assert.deepEqual(loadConfig({ env: { ...listen, MCPP_TOKEN: "x".repeat(32) } }).warnings, []);
    assert.deepEqual(loadConfig({ env: bare() }).warnings, []);
  });
});

describe("the table of settings", () => {
  it("gives each setting a flag, a variable and a key of its own; a secret has no flag and no key", () => {
    for (const part of ["flag", "env", "key"] as const) {
      const names = SETTING_NAMES.flatMap((name) => SETTINGS[name][part] ?? []);
      assert.equal(new Set(names).size, names.length);
      const expected = SETTING_NAMES.filter((name) => part === "env" || !SETTINGS[name].secret);
      assert.equal(names.length, expected.length, part);
    }
    for (const name of SETTING_NAMES) assert.match(SETTINGS[name].env, /^MCPP_[A-Z0-9_]+$/);
    for (const name of SETTING_NAMES) assert.match(SETTINGS[name].summary, /\.$/);
  });

  it("has defaults that its own kinds accept as written", () => {
    const { config } = loadConfig({ env: bare() });
    for (const name of SETTING_NAMES) {
      const value: unknown = config[name];
      if (value === undefined) continue;
      assert.deepEqual(SETTINGS[name].kind.read(value, { folder: "/" }), value, name);
    }
  });

  it("is read the same from a flag and from the environment", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 65_535 }),
        fc.integer({ min: 1000, max: 3_600_000 }),
        (port, lease) => {
          const flags = { [flagAttribute("port")]: String(port), [flagAttribute("lease")]: `${lease}ms` };
          const env = { ...bare(), MCPP_PORT: String(port), MCPP_LEASE: String(lease) };
          assert.deepEqual(loadConfig({ flags, env: bare() }).config, loadConfig({ env }).config);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("durations", () => {
  it("are read back from how they are shown", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 10 }), (ms) =>
        assert.equal(parseDuration(durationText(ms)), ms),
      ),
    );
    assert.equal(durationText(90_000), "90s");
    assert.equal(durationText(0), "0ms");
    assert.equal(parseDuration("1.5h"), 5_400_000);
    assert.equal(parseDuration("5 parsecs"), undefined);
  });
});

describe("nearMiss", () => {
  it("finds the word that was meant, and none where none was", () => {
    assert.equal(nearMiss("prot", ["host", "port"]), "port");
    assert.equal(nearMiss("submti", ["submit", "wait"]), "submit");
    assert.equal(nearMiss("banana", ["host", "port"]), undefined);
    assert.equal(nearMiss("x", []), undefined);
  });
});

describe("childEnvironment", () => {
  it("passes on what programs need, and no secrets", () => {
    const env = {
      PATH: "/bin",
      HOME: "/h",
      LC_ALL: "C",
      https_proxy: "p",
      MCPP_TOKEN: "s",
      AWS_SECRET_ACCESS_KEY: "s",
    };
    assert.deepEqual(childEnvironment(env), { PATH: "/bin", HOME: "/h", LC_ALL: "C", https_proxy: "p" });
  });
});

function dataDirOf(env: Record<string, string>): string {
  return loadConfig({ env }).config.dataDir;
}

describe("limits of task types", () => {
  const limits = [
    { name: "docker.execute", target: "2" },
    { name: "text-generation", target: "4" },
  ];

  it("stand in one text with commas, in several flags, or in a table with numbers", async () => {
    const env = { ...bare(), MCPP_CONCURRENCY: "docker.execute=2, text-generation=4" };
    const flags = { concurrency: ["docker.execute=2", "text-generation=4"] };
    const config = await file('[concurrency]\n"docker.execute" = 2\ntext-generation = 4\n');
    for (const given of [{ env }, { env: bare(), flags }, { env: bare(), flags: { config } }])
      assert.deepEqual(loadConfig(given).config.concurrency, limits);
  });

  it("are at least one, of a type with a name, and each named once", () => {
    for (const text of ["echo=0", "echo=many", "echo", "=2", "echo=1,echo=2", "echo=1000"])
      assert.throws(() => loadConfig({ env: { ...bare(), MCPP_CONCURRENCY: text } }), ConfigError, text);
  });
});

describe("a list of peers", () => {
  it("is refused in a form in which nobody would ever be found in it", () => {
    const cid = "k51qzi5uqu5dkkciu33khkzbcmxtyhn376i1e83tya8kuy7z9euedzyr5nhoew";
    assert.throws(() => loadConfig({ env: { MCPP_ALLOW_PEERS: cid } }), {
      code: "E_CONFIG",
      message: /12D3KooW/,
    });
  });
});
