import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkSqliteStore, openSqliteStores, type Stores } from "../../../src/store/index.ts";
import { draft } from "../../store/conformance/fixtures.ts";
import { mcpp, openHome } from "../support/mcpp.ts";

let home: Awaited<ReturnType<typeof openHome>>;
before(async () => {
  home = await openHome();
});
after(() => home.close());

async function filled(name: string): Promise<{ dir: string; stores: Stores }> {
  const dir = join(home.dir, name);
  mkdirSync(dir);
  const stores = await openSqliteStores({ path: join(dir, "queue.db") });
  await stores.tasks.insert([draft("a", { payload: { text: "x".repeat(300) } }), draft("b")], 0);
  return { dir, stores };
}

describe("mcpp store backup", { timeout: 60_000 }, () => {
  it("copies what was acknowledged while others work with the file, to a file that opens as a queue", async () => {
    const { dir, stores } = await filled("running");
    const target = join(home.dir, "backup.db");
    const run = await mcpp(home.dir, ["store", "backup", target, "--data-dir", dir, "--json"]);
    await stores.close();
    assert.deepEqual([run.code, JSON.parse(run.stdout).tasks], [0, 2], run.stderr);
    assert.deepEqual(checkSqliteStore(target).findings, []);
    await using copy = await openSqliteStores({ path: target });
    assert.equal((await copy.tasks.get("a"))?.payload["text"], "x".repeat(300));
    // An older backup is never written over.
    assert.notEqual((await mcpp(home.dir, ["store", "backup", target, "--data-dir", dir])).code, 0);
  });

  it("makes no backup of what is damaged", async () => {
    const { dir, stores } = await filled("damaged");
    await stores.close();
    const path = join(dir, "queue.db");
    const bytes = readFileSync(path);
    bytes.write("y", bytes.indexOf("x".repeat(100)));
    writeFileSync(path, bytes);
    const target = join(home.dir, "bad.db");
    const { code, stderr } = await mcpp(home.dir, ["store", "backup", target, "--data-dir", dir]);
    assert.equal(code, 1);
    assert.match(stderr, /task a: what was submitted has changed/);
    assert.ok(!existsSync(target) && !existsSync(`${target}.unfinished`));
  });

  it("tells how a PostgreSQL database is backed up, without its password", async () => {
    const url = "postgres://me:s3cret@127.0.0.1:1/queue";
    const { code, stderr } = await mcpp(home.dir, ["store", "backup", "x.db"], { MCPP_STORE: url });
    assert.notEqual(code, 0);
    assert.match(stderr, /pg_dump/);
    assert.ok(!stderr.includes("s3cret"));
  });
});
