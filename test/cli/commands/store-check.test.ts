import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openSqliteStores } from "../../../src/store/index.ts";
import { draft } from "../../store/conformance/fixtures.ts";
import { mcpp, openHome } from "../support/mcpp.ts";

let home: Awaited<ReturnType<typeof openHome>>;
before(async () => {
  home = await openHome();
});
after(() => home.close());

/** A data folder with three tasks. */
async function filled(name: string): Promise<string> {
  const dir = join(home.dir, name);
  mkdirSync(dir);
  await using stores = await openSqliteStores({ path: join(dir, "queue.db") });
  const payload = { text: "x".repeat(300) };
  await stores.tasks.insert([draft("a", { payload }), draft("b"), draft("c")], 0);
  return dir;
}

describe("mcpp store check", { timeout: 60_000 }, () => {
  it("finds nothing in a sound database, beside whoever works with it, and changes nothing", async () => {
    const dir = await filled("sound");
    await using stores = await openSqliteStores({ path: join(dir, "queue.db") });
    await stores.tasks.insert([draft("d")], 0);
    const files = ["queue.db", "queue.db-wal"].map((file) => join(dir, file));
    const contents = files.map((file) => readFileSync(file));
    const { code, stdout } = await mcpp(home.dir, ["store", "check", "--data-dir", dir, "--json"]);
    const { ok, tasks } = JSON.parse(stdout);
    assert.deepEqual([code, ok, tasks], [0, true, 4]);
    assert.deepEqual(
      files.map((file) => readFileSync(file)),
      contents,
    );
  });

  it("names a damaged task, says what to do, and ends with 1", async () => {
    const dir = await filled("damaged");
    const path = join(dir, "queue.db");
    const bytes = readFileSync(path);
    bytes.write("y", bytes.indexOf("x".repeat(100)));
    writeFileSync(path, bytes);
    const { code, stderr } = await mcpp(home.dir, ["store", "check", "--data-dir", dir]);
    assert.equal(code, 1);
    assert.match(stderr, /task a: what was submitted has changed/);
    assert.match(stderr, /hint: submit it again/);
  });

  it("says that there is no database where there is none", async () => {
    const { code, stderr } = await mcpp(home.dir, ["store", "check", "--data-dir", join(home.dir, "none")]);
    assert.equal(code, 4);
    assert.match(stderr, /cannot be opened/);
  });
});
