import { loadConfig } from "../../config.ts";
import { dataPaths } from "../../data-folder.ts";
import { StoreCorruptError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Looks for damage in the database. */
export const storeCheck: Command = {
  name: "store check",
  summary: "Look for damage in the database of a data folder, and say what to do about it.",
  description:
    "Reads everything and changes nothing, also beside a running node. Exit code 0: no damage was found; 1: there is damage, and the error names it.",
  args: [],
  options: [],
  settings: ["dataDir"],
  client: false,
  examples: [
    { line: "mcpp store check", does: "the database of this user's node" },
    { line: "mcpp store check --data-dir ./copy", does: "of a copy, or of a backup before it is used" },
  ],
  json: '{"ok":true,"file":string,"bytes":number,"tasks":number,"outbox":number,"cache":number,"notes":string[]}',

  async run({ flags, out }) {
    const { checkSqliteStore } = await import("../../store/index.ts");
    const { config } = loadConfig({ flags });
    const { path, bytes, tasks, outbox, cache, findings, notes } = checkSqliteStore(
      dataPaths(config.dataDir).queue,
    );
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
