/** The settings of models: off by default, the key a secret, and endpoints that give nothing away. */
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig, type NodeConfig } from "../../src/config.ts";
import { ConfigError } from "../../src/errors.ts";
import { tempFolder } from "../store/temp-folder.ts";

function load(env: Readonly<Record<string, string>>, flags: Record<string, unknown> = {}): NodeConfig {
  return loadConfig({ env: { HOME: "/nowhere", ...env }, flags }).config;
}

describe("the settings of models", () => {
  it("are off, whatever other programs have in the environment", () => {
    const config = load({ OPENAI_API_KEY: "sk-x", OPENAI_BASE_URL: "https://api.example/v1" });
    assert.deepEqual(
      [config.inferenceUrls, config.inferenceKey, config.inferenceFolder],
      [[], undefined, undefined],
    );
  });

  it("take the key from a private file only, and never show a wrong one", () => {
    using folder = tempFolder();
    const file = join(folder.path, "key");
    writeFileSync(file, "sk-secret\n", { mode: 0o600 });
    assert.equal(load({}, { inferenceKeyFile: file }).inferenceKey, "sk-secret");
    chmodSync(file, 0o644);
    assert.throws(() => load({}, { inferenceKeyFile: file }), { message: /others can read/ });
    assert.throws(
      () => load({ MCPP_INFERENCE_KEY: "sk secret" }),
      (error) => error instanceof ConfigError && !error.message.includes("secret") && !error.cause,
    );
  });

  it("take several endpoints, and none with a user, a query or a slash at its end", () => {
    const urls = ["http://127.0.0.1:11434/v1", "https://api.example/v1"];
    assert.deepEqual(load({ MCPP_INFERENCE_URLS: urls.join(",") }).inferenceUrls, urls);
    for (const url of [
      "https://u:p@api.example/v1",
      "https://api.example/v1?k=x",
      "https://api.example/v1/",
      "ftp://x",
    ])
      assert.throws(() => load({ MCPP_INFERENCE_URLS: url }), ConfigError, url);
  });
});
