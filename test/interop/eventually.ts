import { setTimeout as pause } from "node:timers/promises";

const PAUSE_MS = 200;

/** Asks again and again until `good` says yes. @throws when `signal`, the test's, says that its time is up */
export async function eventually<T>(
  signal: AbortSignal,
  ask: () => Promise<T>,
  good: (value: T) => boolean,
): Promise<T> {
  for (;;) {
    const value = await ask();
    if (good(value)) return value;
    await pause(PAUSE_MS, undefined, { signal });
  }
}
