/**
 * The least that SQLite costs: bare prepared inserts of the same bytes, a transaction for as many as are under way at
 * once. No index, no history, no promise. `queue-insert.ts <database file>`
 */
import { DatabaseSync } from "node:sqlite";
import { answerParent } from "../shared/child.ts";
import { loadSchema, runLanes, type Sample } from "../shared/sample.ts";
import { RECORD } from "./queue-driver.ts";

const [path = ""] = process.argv.slice(2);
const db = new DatabaseSync(path);
db.exec(
  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (n INTEGER PRIMARY KEY, record TEXT)",
);
const insert = db.prepare("INSERT INTO t (record) VALUES (?)");

async function write(input: unknown): Promise<Sample> {
  const { lanes, count = lanes } = loadSchema.parse(input);
  const transactions = Math.ceil(count / lanes);
  const sample = await runLanes({ lanes: 1, count: transactions }, async () => {
    db.exec("BEGIN IMMEDIATE");
    for (let i = 0; i < lanes; i++) insert.run(RECORD);
    db.exec("COMMIT");
  });
  return { ...sample, operations: transactions * lanes };
}

answerParent({ write });
