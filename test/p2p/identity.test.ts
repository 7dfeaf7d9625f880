import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { loadIdentity, peerIdOf } from "../../src/p2p/index.ts";

describe("the identity file", () => {
  let folder = "";
  let file = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "mcpp-identity-"));
    file = join(folder, "identity.key");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is made once, for its owner only, and gives the same peer id ever after", async () => {
    const id = peerIdOf(await loadIdentity(file));
    assert.match(id, /^12D3KooW/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal(peerIdOf(await loadIdentity(file)), id);
    assert.deepEqual(await readdir(folder), ["identity.key"]);
  });

  it("is one and the same for all that start at once", async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, () => loadIdentity(file)));
    assert.equal(new Set(keys.map(peerIdOf)).size, 1);
    assert.deepEqual(await readdir(folder), ["identity.key"]);
  });

  it("is refused if others can read it", async () => {
    await loadIdentity(file);
    await chmod(file, 0o640);
    await assert.rejects(loadIdentity(file), { code: "E_CONFIG", message: /must not be readable by others/ });
  });

  it("is refused, and left alone, if it holds no key", async () => {
    for (const garbage of ["", "garbage", "x".repeat(10_000)]) {
      await writeFile(file, garbage, { mode: 0o600 });
      await assert.rejects(loadIdentity(file), { code: "E_CONFIG", message: /must hold an Ed25519 key/ });
    }
  });

  it("cannot be made in a folder that is not there", async () => {
    await assert.rejects(loadIdentity(join(folder, "no", "identity.key")));
  });
});
