import { isDatabaseUrl, loadConfig, settingName, shownStore } from "../../config.ts";
import { openDataFolder } from "../../data-folder.ts";
import { ConfigError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Copies the queue of a file into a database. */
export const storeCopy: Command = {
  name: "store copy",
  summary:
    "Copy the queue, workflow runs, cache and outbox of a stopped node from its file into a PostgreSQL database.",
  description:
    "The database is the one of --store or MCPP_STORE, and must be empty. All is copied, or nothing; the file stays as it is. Stop the node and every other process on the file before.",
  args: [],
  options: [],
  settings: ["dataDir", "database", "store"],
  client: false,
  examples: [
    {
      line: "MCPP_STORE=postgres://mcpp@db.example.org/mcpp mcpp store copy",
      does: "then start the node with it",
    },
  ],
  json: '{"ok":true,"file":string,"store":string,"tasks":number,"outbox":number,"cache":number,"runs":number}',

  async run({ flags, out }) {
    const { copySqliteToPostgres } = await import("../../store/index.ts");
    const { identityOf } = await import("../../node/identity.ts");
    const loaded = loadConfig({ flags });
    const { dataDir, database, store } = loaded.config;
    if (!isDatabaseUrl(store)) {
      throw new ConfigError(
        settingName("store", loaded),
        undefined,
        "must be the URL of the database to copy to",
      );
    }
    const folder = await openDataFolder(dataDir);
    try {
      const { peerId: owner } = await identityOf(dataDir);
      const { tasks, outbox, cache, runs } = await copySqliteToPostgres({
        path: database,
        url: store,
        owner,
      });
      const where = shownStore(store);
      const text = `${database} → ${where}: ${tasks} tasks, ${outbox} results to deliver, ${cache} cache entries, ${runs} workflow runs`;
      out.result(text, { ok: true, file: database, store: where, tasks, outbox, cache, runs });
    } finally {
      await folder.close();
    }
  },
};
