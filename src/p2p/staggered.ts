/** Several ways to the same thing, begun one after the other, the first that leads there wins. */
import { moveOnAfter, openNursery, suspend } from "../nursery/index.ts";

/**
 * Runs `sources` side by side until one finds something, which ends the others. Each is begun `delayMs` after the one
 * before it, or as soon as all before it have found nothing: the next must not wait for what has failed, and the first
 * gets a head start over what costs more.
 *
 * @param sources - must not throw anything but cancellation
 * @param onLate - gets what was found when something else had been found already
 */
export async function firstOf<T>(
  sources: readonly (() => Promise<T | undefined>)[],
  delayMs: number,
  onLate: (value: T) => void = () => undefined,
): Promise<T | undefined> {
  let found: { readonly value: T } | undefined;
  let running = 0;
  let wake: (() => void) | undefined;
  await openNursery(async (nursery) => {
    const ask = async (source: () => Promise<T | undefined>): Promise<void> => {
      const value = await source();
      running -= 1;
      if (value !== undefined && found) onLate(value);
      else if (value !== undefined) {
        found = { value };
        nursery.cancel("another source was first");
      } else if (running === 0) wake?.();
    };
    for (const source of sources) {
      running += 1;
      nursery.startSoon(() => ask(source), "source");
      await moveOnAfter(delayMs, () =>
        suspend<void>((resume, fail) => {
          wake = resume;
          return fail;
        }),
      );
    }
  });
  return found?.value;
}
