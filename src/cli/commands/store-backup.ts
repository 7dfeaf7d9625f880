import { resolve } from "node:path";
import { isDatabaseUrl, loadConfig, shownStore } from "../../config.ts";
import { InvalidInputError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Copies the file of the queue. */
export const storeBackup: Command = {
  name: "store backup",
  summary: "Copy the queue's file to a new file, whole and checked, also beside a running node.",
  description:
    "The copy is what the database was at one moment. To restore it, stop the node and put the file in the place of queue.db, without the files queue.db-wal and queue.db-shm that were beside the old one. A PostgreSQL database is backed up with pg_dump, which the error tells how.",
  args: [{ name: "<file>", summary: "The new file." }],
  options: [],
  settings: ["dataDir", "database", "store"],
  client: false,
  examples: [{ line: "mcpp store backup /backup/queue-monday.db", does: "this user's node" }],
  json: '{"ok":true,"file":string,"backup":string,"bytes":number,"tasks":number}',

  async run({ args, flags, out }) {
    const { backUpSqlite } = await import("../../store/index.ts");
    const { store, database } = loadConfig({ flags }).config;
    const target = resolve(args[0] ?? "");
    if (isDatabaseUrl(store)) {
      throw new InvalidInputError(
        `the queue is in PostgreSQL at ${shownStore(store)}, which has a tool of its own`,
        {
          hint: "pg_dump --format=custom --schema=mcplusplus --file=<file> <database>, while the nodes work; restore with pg_restore into an empty database",
        },
      );
    }
    if (store === "memory") throw new InvalidInputError("a queue in memory has nothing to back up");
    const { bytes, tasks } = backUpSqlite(database, target);
    const text = `${database} → ${target}: ${tasks} tasks, ${bytes} bytes; no damage found`;
    out.result(text, { ok: true, file: database, backup: target, bytes, tasks });
  },
};
