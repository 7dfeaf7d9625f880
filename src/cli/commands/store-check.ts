import { isDatabaseUrl, loadConfig } from "../../config.ts";
import { StoreCorruptError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Looks for damage in the database. */
export const storeCheck: Command = {
  name: "store check",
  summary: "Look for damage in the database, in the file or in PostgreSQL, and say what to do about it.",
  description:
    "Reads everything and changes nothing, also beside a running node. Exit code 0: no damage was found; 1: there is damage, and the error names it.",
  args: [],
  options: [],
  settings: ["dataDir", "database", "store"],
  client: false,
  examples: [
    { line: "mcpp store check", does: "the database of this user's node" },
    { line: "MCPP_STORE=postgres://mcpp@db/mcpp mcpp store check", does: "a PostgreSQL database" },
    { line: "mcpp store check --database ./backup.db", does: "a backup before it is used" },
    { line: "mcpp store check --data-dir ./copy", does: "of a copy of a data folder" },
  ],
  json: '{"ok":true,"file":string,"bytes":number,"tasks":number,"outbox":number,"cache":number,"notes":string[]}',

  async run({ flags, out }) {
    const { checkPostgresStore, checkSqliteStore } = await import("../../store/index.ts");
    const { store, database } = loadConfig({ flags }).config;
    const report = isDatabaseUrl(store) ? await checkPostgresStore(store) : checkSqliteStore(database);
    const { path, bytes, tasks, outbox, cache, findings, notes } = report;
    for (const note of notes) out.note(note);
    if (findings.length > 0) {
      const lines = findings.map(({ what }) => `  ${what}`);
      const todos = [...new Set(findings.map(({ todo }) => todo))];
      throw new StoreCorruptError(`the database ${path} is damaged:\n${lines.join("\n")}`, {
        hint: todos.join("; "),
      });
    }
    const text = `${path}: ${tasks} tasks, ${outbox} results to deliver, ${cache} cache entries; no damage found`;
    out.result(text, { ok: true, file: path, bytes, tasks, outbox, cache, notes });
  },
};
