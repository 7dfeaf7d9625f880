/** The engine for tests and for nodes that keep nothing: gone when the process ends. */
import type { CacheBounds } from "../../cache/store.ts";
import { DEFAULT_CACHE_BOUNDS, Lifetime, type Stores } from "../stores.ts";
import { MemoryCacheStore } from "./cache.ts";
import { MemoryOutboxStore } from "./outbox.ts";
import { MemoryTaskStore } from "./tasks.ts";
import { MemoryWorkflowStore } from "./workflows.ts";

/** What the memory engine can be told. */
export interface MemoryStoreOptions {
  /** Default {@link DEFAULT_CACHE_BOUNDS}. */
  readonly cacheBounds?: CacheBounds | undefined;
}

/** Opens stores that live as long as the process. */
export function openMemoryStores(options: MemoryStoreOptions = {}): Stores {
  const lifetime = new Lifetime();
  const close = async (): Promise<void> => {
    lifetime.end();
  };
  return {
    engine: "memory",
    tasks: new MemoryTaskStore(lifetime),
    outbox: new MemoryOutboxStore(lifetime),
    cache: new MemoryCacheStore(lifetime, options.cacheBounds ?? DEFAULT_CACHE_BOUNDS),
    workflows: new MemoryWorkflowStore(lifetime),
    close,
    [Symbol.asyncDispose]: close,
  };
}
