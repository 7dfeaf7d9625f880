/**
 * plainjob on Node's own SQLite, the binding that our store uses too: `plainjob.mjs <database file> <FULL|NORMAL>`.
 *
 * plainjob itself chooses synchronous=NORMAL, which may lose acknowledged jobs when the power goes; FULL is like for like.
 */
import { DatabaseSync } from "node:sqlite";
import { defineQueue } from "plainjob";
import { PAYLOAD, serveQueue } from "../contestants/queue-driver.ts";

const [path, synchronous] = process.argv.slice(2);
const db = new DatabaseSync(path);
const connection = {
  driver: "better-sqlite3",
  filename: path,
  pragma: (statement) => db.exec(`PRAGMA ${statement}`),
  exec: (statements) => db.exec(statements),
  prepare: (sql) => db.prepare(sql),
  close: () => db.close(),
  transaction: (work) =>
    Object.assign((...args) => inTransaction(() => work(...args)), {
      immediate: (...args) => inTransaction(() => work(...args)),
    }),
};

function inTransaction(work) {
  db.exec("BEGIN IMMEDIATE");
  try {
    const value = work();
    db.exec("COMMIT");
    return value;
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}

const silent = { error() {}, warn() {}, info() {}, debug() {} };
const queue = defineQueue({ connection, logger: silent });
db.exec(`PRAGMA synchronous = ${synchronous}`);

serveQueue({
  submit: async () => queue.add("bench", PAYLOAD),
  claim: async () => {
    const claimed = queue.getAndMarkJobAsProcessing("bench");
    // Like ours, with the payload.
    return claimed && queue.getJobById(claimed.id);
  },
  complete: async (job) => queue.markJobAsDone(job.id),
});
