import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { silentLogger } from "../../src/logger.ts";
import { Connection } from "../../src/store/sqlite/connection.ts";
import { Neighbours } from "../../src/store/sqlite/neighbours.ts";
import { GroupCommit } from "../../src/store/sqlite/group-commit.ts";
import { tempFolder } from "./temp-folder.ts";

interface Bench extends Disposable {
  readonly commits: GroupCommit;
  readonly insert: (n: number) => Promise<number>;
  /** What another connection can see. */
  readonly seen: () => unknown[];
  readonly connection: Connection;
}

function bench(schema: string): Bench {
  const folder = tempFolder();
  const path = join(folder.path, "bench.db");
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; ${schema}`);
  const reader = new DatabaseSync(path, { readOnly: true });
  const connection = new Connection(db, path);
  const neighbours = new Neighbours(connection, silentLogger);
  const commits = new GroupCommit(connection, neighbours, silentLogger);
  return {
    connection,
    commits,
    insert: (n) => commits.write(() => connection.run("INSERT INTO rows (n) VALUES (:n)", { n })),
    seen: () =>
      reader
        .prepare("SELECT n FROM rows ORDER BY n")
        .all()
        .map((row) => row["n"]),
    [Symbol.dispose]: () => {
      neighbours.close();
      connection.close();
      reader.close();
      folder[Symbol.dispose]();
    },
  };
}

const ROWS = "CREATE TABLE rows (n INTEGER PRIMARY KEY)";

describe("group commit", () => {
  it("shows nothing of a batch before all of it is committed, and tells nobody earlier", async () => {
    using b = bench(ROWS);
    const told: number[] = [];
    const first = b.insert(1).then(() => told.push(1));
    const look = b.commits.write(() => ({ seen: b.seen(), told: [...told] }));
    const last = b.insert(2).then(() => told.push(2));
    assert.deepEqual(await look, { seen: [], told: [] });
    await Promise.all([first, last]);
    assert.deepEqual(b.seen(), [1, 2]);
  });

  it("takes back all that a failing write did, and only that", async () => {
    using b = bench(ROWS);
    const boom = b.commits.write(() => {
      b.connection.run("INSERT INTO rows (n) VALUES (7)");
      throw new Error("boom");
    });
    const outcomes = await Promise.allSettled([b.insert(1), boom, b.insert(1), b.insert(2)]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected", "fulfilled"],
    );
    assert.deepEqual(b.seen(), [1, 2]);
  });

  it("fails everybody when the commit fails, leaves nothing half done, and goes on", async () => {
    using b = bench(
      `${ROWS}; CREATE TABLE orphans (n INTEGER REFERENCES rows (n) DEFERRABLE INITIALLY DEFERRED)`,
    );
    const orphan = b.commits.write(() => b.connection.run("INSERT INTO orphans (n) VALUES (99)"));
    const outcomes = await Promise.allSettled([b.insert(1), orphan, b.insert(2)]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", "rejected", "rejected"],
    );
    assert.deepEqual(b.seen(), []);
    await b.insert(3);
    assert.deepEqual(b.seen(), [3]);
  });

  it("lets others have the event loop when a batch takes long", async () => {
    using b = bench(ROWS);
    const order: string[] = [];
    const slow = (name: string): Promise<void> =>
      b.commits.write(() => {
        const until = performance.now() + 15;
        while (performance.now() < until);
        order.push(name);
      });
    const writes = [slow("first"), slow("second")];
    setImmediate(() => order.push("other"));
    await Promise.all(writes);
    assert.deepEqual(order, ["first", "other", "second"]);
  });

  it("runs more writes than fit into one batch, in order", async () => {
    using b = bench(ROWS);
    const writes = Array.from({ length: 3000 }, (_, n) => b.insert(n));
    await Promise.all(writes);
    assert.equal(b.seen().length, 3000);
  });
});
