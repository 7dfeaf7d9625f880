import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { openSqliteStores } from "../../src/store/index.ts";

/** The cache as the first version of the schema had it: two entries and a tombstone. */
const FIRST_VERSION = `
  ALTER TABLE payloads DROP COLUMN crc;
  ALTER TABLE outcomes DROP COLUMN crc;
  ALTER TABLE outcomes DROP COLUMN progress_crc;
  ALTER TABLE outbox DROP COLUMN crc;
  ALTER TABLE tasks DROP COLUMN lease_ms;
  DROP TABLE workflow_runs;
  DROP TABLE workflow_events;
  DROP TABLE cache_entries;
  DROP TABLE cache_node;
  UPDATE cache_sums SET entries = 0, bytes = 0;
  CREATE TABLE cache (
    written INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, live INTEGER NOT NULL,
    expires_ms REAL, bytes INTEGER NOT NULL, value TEXT
  ) STRICT;
  CREATE INDEX cache_by_age ON cache (live, written);
  CREATE INDEX cache_by_end ON cache (expires_ms) WHERE expires_ms IS NOT NULL;
  CREATE TRIGGER cache_inserted AFTER INSERT ON cache BEGIN
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_updated AFTER UPDATE OF live ON cache BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
    UPDATE cache_sums SET entries = entries + 1, bytes = bytes + new.bytes WHERE live = new.live;
  END;
  CREATE TRIGGER cache_deleted AFTER DELETE ON cache BEGIN
    UPDATE cache_sums SET entries = entries - 1, bytes = bytes - old.bytes WHERE live = old.live;
  END;
  CREATE TABLE cache_floor (version INTEGER NOT NULL) STRICT;
  INSERT INTO cache_floor VALUES (3);
  INSERT INTO cache VALUES (4, 'a', 7, 1, NULL, 2, '1'), (5, 'gone', 9, 0, NULL, 0, NULL), (6, 'b', 4, 1, 1000, 4, '"x"');
  PRAGMA user_version = 1;`;

describe("the cache of an older database", () => {
  const folder = mkdtempSync(join(tmpdir(), "mcpp-upgrade-"));
  after(() => rmSync(folder, { recursive: true }));

  it("is kept, with its bounds, tombstones and growing versions", async () => {
    const path = join(folder, "old.db");
    await (await openSqliteStores({ path })).close();
    const old = new DatabaseSync(path);
    old.exec(FIRST_VERSION);
    old.close();
    await using stores = await openSqliteStores({ path });
    const { cache } = stores;
    assert.deepEqual(await cache.get("a", 0), { value: 1, version: 7 });
    assert.deepEqual(await cache.get("b", 0), { value: "x", version: 4, expiresAtMs: 1000 });
    assert.deepEqual(await cache.stats(0), { entries: 2, bytes: 6, tombstones: 1 });
    assert.ok((await cache.set("gone", 1, undefined, 0)) > 9);
    const { marks } = await cache.changes(0, 10);
    assert.deepEqual(
      marks.map(({ key }) => key),
      ["a", "b", "gone"],
    );
  });
});
