import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe } from "node:test";
import type { CacheBounds } from "../../src/cache/store.ts";
import { openSqliteStores, type Stores } from "../../src/store/index.ts";
import { cacheStoreConformance } from "./conformance/cache.ts";
import { lifetimeConformance } from "./conformance/lifetime.ts";
import { modelConformance } from "./conformance/model.ts";
import { outboxStoreConformance } from "./conformance/outbox.ts";
import { taskStoreConformance } from "./conformance/tasks.ts";
import { workflowStoreConformance } from "./conformance/workflows.ts";

describe("sqlite engine", () => {
  const folder = mkdtempSync(join(tmpdir(), "mcpp-store-"));
  after(() => rmSync(folder, { recursive: true }));
  let files = 0;
  const open = (cacheBounds?: CacheBounds): Promise<Stores> => {
    files += 1;
    return openSqliteStores({ path: join(folder, `${files}.db`), cacheBounds });
  };
  taskStoreConformance(() => open());
  outboxStoreConformance(() => open());
  cacheStoreConformance(open);
  lifetimeConformance(() => open());
  modelConformance(() => open());
  workflowStoreConformance(() => open());
});
