/** Waiting for a slow reader. */
import type { Writable } from "node:stream";

/** Resolves when `stream` takes more, or when it has ended and never will. */
export function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      stream.off("drain", end).off("close", end).off("error", end);
      resolve();
    };
    stream.on("drain", end).on("close", end).on("error", end);
  });
}
