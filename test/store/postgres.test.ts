import { after, before, describe } from "node:test";
import type { CacheBounds } from "../../src/cache/store.ts";
import { openPostgresStores, type Stores } from "../../src/store/index.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";
import { cacheStoreConformance } from "./conformance/cache.ts";
import { lifetimeConformance } from "./conformance/lifetime.ts";
import { modelConformance } from "./conformance/model.ts";
import { outboxStoreConformance } from "./conformance/outbox.ts";
import { taskStoreConformance } from "./conformance/tasks.ts";
import { workflowStoreConformance } from "./conformance/workflows.ts";

describe("postgres engine", { skip: noPostgres, timeout: 600_000 }, () => {
  let server: PostgresServer | undefined;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.remove());
  let schemas = 0;
  const open = async (cacheBounds?: CacheBounds): Promise<Stores> => {
    if (!server) throw new Error("no server");
    schemas += 1;
    return openPostgresStores({ url: server.url(`s${schemas}`), cacheBounds });
  };
  taskStoreConformance(() => open());
  outboxStoreConformance(() => open());
  cacheStoreConformance(open);
  lifetimeConformance(() => open());
  modelConformance(() => open());
  workflowStoreConformance(() => open());
});
