/** Cleanup that is written where the need for it arises. */
import { shield } from "./timeout.ts";

/**
 * Runs `fn` when the block ends, shielded from cancellation and for at most `timeoutMs`: `await using _ = defer(…)`.
 *
 * Several in one block run in reverse order. Its failure, or its TimeoutError, comes out of the
 * block, together with that of the block itself.
 */
export function defer(timeoutMs: number, fn: () => unknown): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      await shield(timeoutMs, fn);
    },
  };
}
