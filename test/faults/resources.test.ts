/** What a machine may refuse: room on the disk, writing, more bytes in a file, more open files. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod";
import { hasCode } from "../../src/errors.ts";
import { checkSqliteStore, openSqliteStores } from "../../src/store/index.ts";
import { draft } from "../store/conformance/fixtures.ts";
import { tempFolder } from "../store/temp-folder.ts";
import { smallDisk } from "./mounts.ts";

const CHILD = join(import.meta.dirname, "starved-child.ts");
const MIB = 1024 * 1024;
const payload = { text: "x".repeat(3000) };

/** Runs the child under a limit of the shell. @returns the line it printed */
function starved(limit: string, what: string, path: string): unknown {
  // A process that makes a file too large is killed by SIGXFSZ unless it ignores that.
  const script = `trap '' XFSZ; ulimit ${limit}; exec "$0" --no-warnings "$@"`;
  const args = ["-c", script, process.execPath, CHILD, what, path];
  return JSON.parse(execFileSync("bash", args, { encoding: "utf8", timeout: 60_000 }));
}

describe("a disk", { timeout: 120_000 }, () => {
  it("that is full refuses with E_STORE_FULL, keeps what was acknowledged, and goes on once there is room", async (t) => {
    using disk = smallDisk(2 * MIB);
    if (!disk) return t.skip("this user may not mount a file system");
    const path = join(disk.path, "queue.db");
    const acknowledged: string[] = [];
    {
      await using stores = await openSqliteStores({ path });
      await assert.rejects(
        async () => {
          for (let i = 0; i < 2000; i++) {
            await stores.tasks.insert([draft(`t${i}`, { payload })], 0);
            acknowledged.push(`t${i}`);
          }
        },
        { code: "E_STORE_FULL" },
      );
      for (const id of acknowledged) assert.equal((await stores.tasks.get(id))?.state, "queued", id);
      execFileSync("mount", ["-o", `remount,size=${16 * MIB}`, disk.path]);
      await stores.tasks.insert([draft("more", { payload })], 0);
    }
    assert.deepEqual(checkSqliteStore(path).findings, []);
    await using stores = await openSqliteStores({ path });
    for (const id of [...acknowledged, "more"])
      assert.deepEqual((await stores.tasks.get(id))?.payload, payload);
  });

  it("that is mounted read-only is said to be, and nothing is changed", async (t) => {
    using disk = smallDisk(2 * MIB);
    if (!disk) return t.skip("this user may not mount a file system");
    const path = join(disk.path, "queue.db");
    {
      await using stores = await openSqliteStores({ path });
      await stores.tasks.insert([draft("a", { payload })], 0);
    }
    disk.makeReadOnly();
    await assert.rejects(openSqliteStores({ path }), { code: "E_STORE_READ_ONLY", hint: /writable/ });
  });

  it("that fails while it is written says so, and keeps what was acknowledged", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "queue.db");
    const said = z
      .object({
        refusal: z.string(),
        acknowledged: z.array(z.string()),
        readable: z.string(),
        closing: z.string(),
      })
      .parse(starved("-f 4096", "size", path));
    assert.equal(said.refusal, "E_STORE_FAILED");
    assert.equal(said.readable, "done");
    assert.ok(said.acknowledged.length > 20, `${said.acknowledged.length} tasks`);
    await using stores = await openSqliteStores({ path });
    for (const id of said.acknowledged) assert.equal((await stores.tasks.get(id))?.state, "queued", id);
  });
});

describe("a process that has no files left to open", { timeout: 120_000 }, () => {
  it("gets a typed error for a new database, and loses nothing of an open one", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "queue.db");
    const said = z
      .object({ opening: z.string(), during: z.string(), after: z.string(), kept: z.int() })
      .parse(starved("-n 64", "files", path));
    assert.deepEqual(said, { ...said, opening: "E_STORE_FAILED", after: "done", kept: 2 });
    assert.match(said.during, /^(done|E_STORE_)/);
    await using stores = await openSqliteStores({ path });
    assert.equal((await stores.tasks.get("during")) !== undefined, said.during === "done");
    for (const id of ["before", "after"]) assert.equal((await stores.tasks.get(id))?.state, "queued", id);
  });
});

describe("a damaged task among sound ones", () => {
  it("is named, becomes a dead letter, and does not stand in the way of the others", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "queue.db");
    {
      await using stores = await openSqliteStores({ path });
      await stores.tasks.insert([draft("a", { payload }), draft("b"), draft("c")], 0);
    }
    damage(path);
    assert.deepEqual(
      checkSqliteStore(path).findings.map(({ taskId }) => taskId),
      ["a"],
    );
    await using stores = await openSqliteStores({ path });
    await assert.rejects(
      stores.tasks.get("a"),
      (error) => hasCode(error, "E_STORE_CORRUPT") && /task a /.test(String(error)),
    );
    const claim = {
      workerId: "w",
      holder: "h",
      choice: { lanes: [], ranges: [{ from: "" }] },
      maxBytes: 1e9,
      limit: 3,
      leaseUntilMs: 1000,
    };
    const claims = await stores.tasks.claim(claim, 0);
    assert.deepEqual(
      claims.map(({ task }) => task.id),
      ["b", "c"],
    );
    const { tasks } = await stores.tasks.list({ limit: 10, deadLetter: true });
    assert.deepEqual(
      tasks.map(({ id, error }) => [id, error?.code]),
      [["a", "E_STORE_CORRUPT"]],
    );
    assert.deepEqual((await stores.tasks.settleDue(0)).deadTaskIds, ["a"]);
  });
});

/** Changes one letter in the payload of the first task. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.indexOf("x".repeat(100));
  assert.ok(at > 0);
  bytes.write("y", at + 50);
  writeFileSync(path, bytes);
}
