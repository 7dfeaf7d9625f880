/** What was opened, to be closed in reverse order, each thing once and all of it even if some of it fails. */
import { shield } from "../nursery/index.ts";

/** A stack of things to close. */
export interface Closers {
  /** Remembers how to close what has just been opened. */
  add(name: string, close: () => Promise<void>): void;
  /** Closes everything, last opened first. @throws AggregateError of everything that failed, after all was tried */
  closeAll(): Promise<void>;
}

/** How long one part may take to close before the next one is tried: draining has its own, shorter limits. */
const CLOSE_LIMIT_MS = 60_000;

/** An empty stack. */
export function createClosers(): Closers {
  const stack: { readonly name: string; readonly close: () => Promise<void> }[] = [];
  return {
    add(name, close) {
      stack.push({ name, close });
    },
    async closeAll() {
      const failures: unknown[] = [];
      for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
        const { name, close } = entry;
        await shield(CLOSE_LIMIT_MS, close).catch((error: unknown) => {
          failures.push(new Error(`closing ${name} failed`, { cause: error }));
        });
      }
      if (failures.length > 0) throw new AggregateError(failures, "not everything closed cleanly");
    },
  };
}
