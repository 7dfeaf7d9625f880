import { isDatabaseUrl, loadConfig, shownStore } from "../../config.ts";
import { openDataFolder } from "../../data-folder.ts";
import { InvalidInputError } from "../../errors.ts";
import type { Command } from "../command.ts";

/** Brings the database up to date. */
export const storeMigrate: Command = {
  name: "store migrate",
  summary: "Make the tables of the queue, or bring those of an older version up to date.",
  description:
    "A node does this by itself when it starts; the command is for doing it before, or with another user's rights. Stop the nodes of the older version first: a file that one of them has open is refused. What is up to date already is left as it is.",
  args: [],
  options: [],
  settings: ["dataDir", "database", "store"],
  client: false,
  examples: [
    { line: "mcpp store migrate", does: "the file of this user's node, which must be stopped" },
    { line: "MCPP_STORE=postgres://owner@db/mcpp mcpp store migrate", does: "with the rights of the owner" },
  ],
  json: '{"ok":true,"store":string}',

  async run({ flags, out }) {
    const { openPostgresStores, openSqliteStores } = await import("../../store/index.ts");
    const { store, database, dataDir } = loadConfig({ flags }).config;
    if (store === "memory") throw new InvalidInputError("a queue in memory has nothing to bring up to date");
    if (isDatabaseUrl(store)) {
      await (await openPostgresStores({ url: store })).close();
      const shown = shownStore(store);
      out.result(`${shown}: up to date`, { ok: true, store: shown });
      return;
    }
    const folder = await openDataFolder(dataDir);
    try {
      await (await openSqliteStores({ path: database })).close();
    } finally {
      await folder.close();
    }
    out.result(`${database}: up to date`, { ok: true, store: database });
  },
};
