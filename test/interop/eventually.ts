const PAUSE_MS = 200;

/** Asks again and again until `good` says yes; the test's deadline bounds it. */
export async function eventually<T>(ask: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask();
    if (good(value)) return value;
    await new Promise<void>((resolve) => void setTimeout(resolve, PAUSE_MS));
  }
}
