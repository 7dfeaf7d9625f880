/** Who is to look at a run again, and when. */

/** Told that a run may have changed; undefined stands for any. */
export type BellListener = (runId: string | undefined) => void;

/** Rings within one process. */
export class Bells {
  readonly #listeners = new Set<BellListener>();

  /** @returns ends that */
  listen(listener: BellListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells that a run has changed; without an id, that any may have. */
  ring(runId?: string): void {
    for (const listener of this.#listeners) listener(runId);
  }
}
