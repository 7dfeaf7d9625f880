/** A database of an older version of the program, which is brought up to date by nobody but its only user. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { openSqliteStores } from "../../src/store/index.ts";
import { draft } from "./conformance/fixtures.ts";
import { temporaryFolder } from "../support/node-process.ts";

/** Opens the file as an older process does, says so, and keeps it open until its input ends. */
const HOLDER = `
  const { DatabaseSync } = require("node:sqlite");
  const db = new DatabaseSync(process.argv[1]);
  db.prepare("SELECT count(*) FROM tasks").get();
  process.stdout.write("open");
  process.stdin.resume().on("end", () => db.close());`;

function versionOf(path: string): unknown {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare("PRAGMA user_version").get()?.["user_version"];
  } finally {
    db.close();
  }
}

describe("a database of an older version", () => {
  it("is left alone while another process has it open, and brought up to date afterwards", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const fresh = await openSqliteStores({ path });
    await fresh.tasks.insert([draft("a")], 0);
    await fresh.close();
    const latest = versionOf(path);
    const old = new DatabaseSync(path);
    // What came after version 4.
    old.exec("DROP TABLE workflow_events; DROP TABLE workflow_runs; PRAGMA user_version = 4");
    old.close();

    const holder = spawn(process.execPath, ["-e", HOLDER, path], { stdio: ["pipe", "pipe", "inherit"] });
    await once(holder.stdout, "data");
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_LOCKED", message: /older version/ });
    assert.equal(versionOf(path), 4);
    const ended = once(holder, "exit");
    holder.stdin.end();
    await ended;

    await using stores = await openSqliteStores({ path });
    assert.equal((await stores.tasks.get("a"))?.id, "a");
    assert.equal(versionOf(path), latest);
    // Others may have it open again.
    const other = spawn(process.execPath, ["-e", HOLDER, path], { stdio: ["pipe", "pipe", "inherit"] });
    await once(other.stdout, "data");
    await stores.tasks.insert([draft("b")], 0);
    other.kill();
  });
});
