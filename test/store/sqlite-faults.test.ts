import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { openSqliteStores } from "../../src/store/index.ts";
import { Connection } from "../../src/store/sqlite/connection.ts";
import { draft } from "./conformance/fixtures.ts";
import { tempFolder } from "./temp-folder.ts";

/** A database with so many tasks that it has pages to damage. */
async function filled(path: string, tasks = 400): Promise<void> {
  await using stores = await openSqliteStores({ path });
  const payload = { text: "x".repeat(500) };
  await stores.tasks.insert(
    Array.from({ length: tasks }, (_, i) => draft(`t${i}`, { payload })),
    0,
  );
}

/** Another process that holds a write lock on the file until it is told to end. */
async function lockedBy(path: string): Promise<{ readonly child: ChildProcess } & AsyncDisposable> {
  const script = `
    const { DatabaseSync } = require("node:sqlite");
    const db = new DatabaseSync(process.argv[1]);
    db.exec("BEGIN EXCLUSIVE");
    console.log("locked");
    process.stdin.resume().on("end", () => process.exit());`;
  const child = spawn(process.execPath, ["--no-warnings", "-e", script, path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(child.stdout, "data");
  const end = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  return { child, [Symbol.asyncDispose]: end };
}

describe("a database that cannot be used", () => {
  it("is refused and left alone if it is no database", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "garbage.db");
    for (const content of ["x", "not a database, ".repeat(100)]) {
      writeFileSync(path, content);
      await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_CORRUPT" });
      assert.equal(readFileSync(path, "utf8"), content);
    }
  });

  it("is refused and left alone if it belongs to another program", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "foreign.db");
    const foreign = new DatabaseSync(path);
    foreign.exec("PRAGMA journal_mode = WAL; CREATE TABLE tasks (precious TEXT)");
    foreign.close();
    const before = readFileSync(path);
    await assert.rejects(openSqliteStores({ path }), {
      code: "E_STORE_CORRUPT",
      message: /another program/u,
    });
    assert.deepEqual(readFileSync(path), before);
  });

  it("is refused if it was cut short, wherever", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "cut.db");
    await filled(path);
    const whole = readFileSync(path);
    for (const share of [0.0005, 0.01, 0.3, 0.5, 0.99]) {
      writeFileSync(path, whole);
      truncateSync(path, Math.floor(whole.length * share));
      await assert.rejects(
        openSqliteStores({ path }),
        { code: "E_STORE_CORRUPT", hint: /backup/u },
        `${share}`,
      );
    }
    writeFileSync(path, whole);
    await using stores = await openSqliteStores({ path });
    assert.equal((await stores.tasks.stats(0)).ready, 400);
  });

  it("is refused if a page in the middle was overwritten", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "scratched.db");
    await filled(path);
    const bytes = readFileSync(path);
    bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 8192);
    writeFileSync(path, bytes);
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_CORRUPT" });
  });

  it("is refused and left alone if a newer version wrote it", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "newer.db");
    await filled(path, 1);
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    const before = readFileSync(path);
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_VERSION", message: /99/u });
    assert.deepEqual(readFileSync(path), before);
  });

  it("is refused if its folder does not exist", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "none", "tasks.db");
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_FAILED" });
  });

  it("is refused a second time in one process, and free again once it is closed", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "twice.db");
    const first = await openSqliteStores({ path });
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_LOCKED" });
    await first.close();
    await using second = await openSqliteStores({ path });
    assert.equal((await second.tasks.stats(0)).ready, 0);
  });

  it("is refused while another process holds it", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "locked.db");
    await filled(path, 1);
    await using _lock = await lockedBy(path);
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_LOCKED" });
  });

  it("refuses writes while another process holds it, still reads, and goes on afterwards", async () => {
    using folder = tempFolder();
    await using stores = await openSqliteStores({ path: join(folder.path, "busy.db") });
    await stores.tasks.insert([draft("a")], 0);
    {
      await using _lock = await lockedBy(join(folder.path, "busy.db"));
      const writes = await Promise.allSettled([
        stores.tasks.insert([draft("b")], 0),
        stores.tasks.cancel("a", "", 0),
      ]);
      for (const write of writes) {
        assert.equal(write.status === "rejected" && write.reason.code, "E_STORE_LOCKED");
      }
      assert.equal((await stores.tasks.get("a"))?.state, "queued");
    }
    await stores.tasks.insert([draft("b")], 0);
    assert.equal((await stores.tasks.stats(0)).ready, 2);
  });

  it("is refused if the file is read-only", async (t) => {
    using folder = tempFolder();
    const path = join(folder.path, "read-only.db");
    await filled(path, 1);
    const undo = makeReadOnly(path);
    if (!undo) return t.skip("this user may write anything here, and chattr does not work");
    try {
      await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_READ_ONLY" });
    } finally {
      undo();
    }
  });

  it("says that it is read-only when a write finds that out", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "read-only.db");
    await filled(path, 1);
    const connection = new Connection(new DatabaseSync(path, { readOnly: true }), path);
    try {
      assert.throws(() => connection.run("DELETE FROM tasks"), { code: "E_STORE_READ_ONLY" });
    } finally {
      connection.close();
    }
  });

  it("keeps what was acknowledged when it is full, and takes more once there is room", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "full.db");
    const acknowledged: string[] = [];
    {
      await using stores = await openSqliteStores({ path, maxBytes: 512 * 1024 });
      const submit = async (id: string): Promise<void> => {
        await stores.tasks.insert([draft(id, { payload: { text: "x".repeat(3000) } })], 0);
        acknowledged.push(id);
      };
      let outcomes: PromiseSettledResult<void>[] = [];
      for (let round = 0; !outcomes.some((outcome) => outcome.status === "rejected"); round++) {
        outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => submit(`${round}-${i}`)));
      }
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") assert.equal(outcome.reason.code, "E_STORE_FULL");
      }
      assert.equal((await stores.tasks.stats(0)).ready, acknowledged.length);
      assert.ok(acknowledged.length > 50);
    }
    await using stores = await openSqliteStores({ path });
    for (const id of acknowledged) assert.equal((await stores.tasks.get(id))?.state, "queued");
    await stores.tasks.insert([draft("more", { payload: { text: "x".repeat(3000) } })], 0);
  });
});

describe("a database file", () => {
  it("can be read by its owner only", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "private.db");
    await using stores = await openSqliteStores({ path });
    await stores.tasks.insert([draft("a")], 0);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it("keeps everything from one opening to the next", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "kept.db");
    const entry = {
      queue: "q",
      lease: { taskId: "a", token: 1 },
      outcome: { kind: "completed", result: {} },
      createdAtMs: 0,
    } as const;
    {
      await using stores = await openSqliteStores({ path });
      await stores.tasks.insert([draft("a", { idempotencyKey: "k" })], 0);
      await stores.cache.set("k", { v: 1 }, undefined, 0);
      await stores.outbox.put(entry);
    }
    await using stores = await openSqliteStores({ path });
    assert.equal((await stores.tasks.get("a"))?.idempotencyKey, "k");
    assert.deepEqual(await stores.cache.get("k", 0), { value: { v: 1 }, version: 1 });
    assert.deepEqual(await stores.outbox.get("q", entry.lease), entry);
  });

  it("is opened without a word on standard error", () => {
    using folder = tempFolder();
    const index = new URL("../../src/store/index.ts", import.meta.url).href;
    const script = `
      const { openSqliteStores } = await import(${JSON.stringify(index)});
      await (await openSqliteStores({ path: process.argv[1] })).close();
      process.emitWarning("this one is heard");`;
    const args = ["--input-type=module", "-e", script, join(folder.path, "quiet.db")];
    const { stderr } = spawnAndRead(args);
    assert.match(stderr, /this one is heard/u);
    assert.doesNotMatch(stderr, /sqlite/iu);
  });
});

function spawnAndRead(args: readonly string[]): { readonly stderr: string } {
  const stderr = execFileSync("sh", ["-c", 'exec "$0" "$@" 2>&1 >/dev/null', process.execPath, ...args], {
    encoding: "utf8",
  });
  return { stderr };
}

/** Takes the right to write away, from root too. @returns the way back; undefined if that is impossible here */
function makeReadOnly(path: string): (() => void) | undefined {
  if (process.getuid?.() !== 0) {
    chmodSync(path, 0o400);
    return () => chmodSync(path, 0o600);
  }
  try {
    execFileSync("chattr", ["+i", path], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  return () => execFileSync("chattr", ["-i", path]);
}
