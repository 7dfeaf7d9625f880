import { describe } from "node:test";
import { openMemoryStores, type Stores } from "../../src/store/index.ts";
import { cacheStoreConformance } from "./conformance/cache.ts";
import { lifetimeConformance } from "./conformance/lifetime.ts";
import { modelConformance } from "./conformance/model.ts";
import { outboxStoreConformance } from "./conformance/outbox.ts";
import { taskStoreConformance } from "./conformance/tasks.ts";
import { workflowStoreConformance } from "./conformance/workflows.ts";

async function open(): Promise<Stores> {
  return openMemoryStores();
}

describe("memory engine", () => {
  taskStoreConformance(open);
  outboxStoreConformance(open);
  cacheStoreConformance(async (cacheBounds) => openMemoryStores({ cacheBounds }));
  lifetimeConformance(open);
  modelConformance(open);
  workflowStoreConformance(open);
});
