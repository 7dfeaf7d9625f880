import { after, before, describe } from "node:test";
import { openPostgresStores } from "../../src/store/index.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";
import { describeMatching } from "../task/matching.ts";

describe("matching in postgres", { skip: noPostgres, timeout: 300_000 }, () => {
  let server: PostgresServer | undefined;
  let schemas = 0;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.remove());

  describeMatching("postgres", async () => {
    if (!server) throw new Error("no server");
    schemas += 1;
    return openPostgresStores({ url: server.url(`m${schemas}`) });
  });
});
