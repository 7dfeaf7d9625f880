import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { checkSqliteStore, openSqliteStores } from "../../src/store/index.ts";
import { claimOne, draft, leaseOf } from "./conformance/fixtures.ts";
import { tempFolder } from "./temp-folder.ts";

describe("the check of a sound file", () => {
  it("finds nothing in a task with a longer history than is kept", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "long.db");
    const stores = await openSqliteStores({ path });
    await stores.tasks.insert([draft("a")], 0);
    for (let i = 1; i <= 40; i++) {
      const lease = leaseOf(await claimOne(stores.tasks, i));
      await stores.tasks.settle(lease, { kind: "released", reason: "" }, i);
    }
    await stores.close();
    assert.deepEqual(checkSqliteStore(path).findings, []);
  });

  it("finds the counts right after a submit that failed half done, beside others", async () => {
    using folder = tempFolder();
    const path = join(folder.path, "half.db");
    const stores = await openSqliteStores({ path });
    const outcomes = await Promise.allSettled([
      stores.tasks.insert([draft("a")], 0),
      // The second has the id of the first.
      stores.tasks.insert([draft("b"), draft("b")], 0),
      stores.tasks.insert([draft("c")], 0),
    ]);
    await stores.close();
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const { findings, tasks } = checkSqliteStore(path);
    assert.deepEqual([findings, tasks], [[], 2]);
  });
});
