/** The registry's settings: off by default, its token a secret, its old variables only together. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadConfig, type NodeConfig } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mcpp-github-"));
});
after(() => rm(folder, { recursive: true, force: true }));

function load(env: Readonly<Record<string, string>>, flags: Record<string, unknown> = {}): NodeConfig {
  return loadConfig({ env: { HOME: folder, ...env }, flags }).config;
}

describe("the settings of the registry on GitHub Issues", () => {
  it("are off, whatever GitHub Actions and other programs put into the environment", () => {
    const config = load({ GITHUB_REPOSITORY: "o/r", GITHUB_TOKEN: "ghs_x", GH_TOKEN: "gho_x" });
    assert.equal(config.githubRegistry, undefined);
    assert.equal(config.githubToken, undefined);
    assert.equal(config.githubCli, false);
    assert.equal(config.githubCleanup, false);
    assert.equal(config.githubLocalAddresses, false);
  });

  it("come from the old registry's variables where that was set", () => {
    const old = { IPFS_ACCELERATE_GITHUB_REPO: "o/r", GITHUB_TOKEN: "second" };
    assert.equal(load(old).githubRegistry, "o/r");
    assert.equal(load(old).githubToken, "second");
    assert.equal(load({ ...old, GH_TOKEN: "first" }).githubToken, "first");
    assert.equal(load({ ...old, MCPP_GITHUB_TOKEN: "ours" }).githubToken, "ours");
  });

  it("take the token from a private file only", async () => {
    const file = join(folder, "token");
    await writeFile(file, "ghp_secret\n", { mode: 0o600 });
    assert.equal(load({}, { githubTokenFile: file }).githubToken, "ghp_secret");
    await chmod(file, 0o644);
    assert.throws(() => load({}, { githubTokenFile: file }), {
      code: "E_CONFIG",
      message: /others can read/,
    });
  });

  it("never show a wrong token, and refuse what would send it elsewhere", () => {
    assert.throws(
      () => load({ MCPP_GITHUB_TOKEN: "ghp secret" }),
      (error) => error instanceof ConfigError && !error.message.includes("secret") && !error.cause,
    );
    for (const url of ["http://example.org", "https://a@b.example", "https://ghe.example/api/v3/", "ftp://x"])
      assert.throws(() => load({}, { githubApi: url }), ConfigError, url);
    for (const url of ["https://ghe.example/api/v3", "http://127.0.0.1:8080"])
      assert.equal(load({}, { githubApi: url }).githubApi, url);
    for (const name of ["o", "o/r/x", "o/..", "../r", "o/r?x=1"])
      assert.throws(() => load({}, { githubRegistry: name }), ConfigError, name);
  });
});
