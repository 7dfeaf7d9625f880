import { describe } from "node:test";
import { openMemoryStores } from "../../src/store/index.ts";
import { cacheStoreConformance } from "./conformance/cache.ts";
import { lifetimeConformance } from "./conformance/lifetime.ts";
import { modelConformance } from "./conformance/model.ts";
import { outboxStoreConformance } from "./conformance/outbox.ts";
import { taskStoreConformance } from "./conformance/tasks.ts";

describe("memory engine", () => {
  const open = async (): Promise<ReturnType<typeof openMemoryStores>> => openMemoryStores();
  taskStoreConformance(open);
  outboxStoreConformance(open);
  cacheStoreConformance(async (cacheBounds) => openMemoryStores({ cacheBounds }));
  lifetimeConformance(open);
  modelConformance(open);
});
