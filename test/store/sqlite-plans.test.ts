import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HEAD_OF_LANE } from "../../src/store/sqlite/claim.ts";
import { DUE_TASKS, LENGTHEN_LAPSED, NEXT_DUE } from "../../src/store/sqlite/due.ts";
import { LANES_IN_RANGE } from "../../src/store/sqlite/lanes.ts";
import { openDatabase } from "../../src/store/sqlite/open.ts";
import { FINISHED_BEFORE } from "../../src/store/sqlite/prune.ts";
import {
  NEXT_IN_PHASE,
  NEXT_OF_ALL,
  NEXT_OF_TYPE,
  OLDEST_READY,
  OVERDUE,
} from "../../src/store/sqlite/read.ts";
import { tempFolder } from "./temp-folder.ts";

const INDEX_OF = [
  { sql: LANES_IN_RANGE, index: /tasks_ready/u },
  { sql: HEAD_OF_LANE, index: /tasks_ready \(lane=\?\)/u },
  { sql: DUE_TASKS, index: /tasks_due/u },
  { sql: LENGTHEN_LAPSED, index: /tasks_due/u },
  { sql: NEXT_DUE, index: /tasks_due/u },
  { sql: NEXT_OF_ALL, index: /PRIMARY KEY \(rowid>\?\)/u },
  { sql: NEXT_IN_PHASE, index: /tasks_by_phase \(phase=\? AND rowid>\?\)/u },
  { sql: NEXT_OF_TYPE, index: /tasks_by_type \(type=\? AND phase=\? AND rowid>\?\)/u },
  { sql: OLDEST_READY, index: /tasks_waiting/u },
  { sql: OVERDUE, index: /tasks_due/u },
  { sql: FINISHED_BEFORE, index: /tasks_finished/u },
];

describe("statements whose cost must not grow with the queue", () => {
  it("use their index, and neither walk the table nor sort", () => {
    using folder = tempFolder();
    const connection = openDatabase({ path: join(folder.path, "plans.db") });
    try {
      for (const { sql, index } of INDEX_OF) {
        const names = [...sql.matchAll(/:([a-zA-Z]+)/gu)].map(([, name = ""]) => [name, 1]);
        const plan = connection.all(`EXPLAIN QUERY PLAN ${sql}`, Object.fromEntries(names));
        const text = plan.map((row) => row["detail"]).join("\n");
        assert.match(text, index, sql);
        assert.doesNotMatch(text, /SCAN tasks|TEMP B-TREE/u, sql);
      }
    } finally {
      connection.close();
    }
  });
});
