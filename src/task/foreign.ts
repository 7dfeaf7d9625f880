/** Keeps a queue's waiters true when other processes work on the same store. */
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { rethrowIfCancelled, suspend } from "../nursery/index.ts";
import type { Survey, TaskStore } from "./store.ts";

/** What it watches and whom it tells. */
export interface ForeignOptions {
  readonly store: Pick<TaskStore, "onForeignChange" | "survey">;
  readonly logger: Logger;
  /** The tasks that somebody waits for. */
  readonly watched: () => readonly string[];
  readonly onSurvey: (survey: Survey) => void;
}

/**
 * Looks at the store whenever others have changed it, as long as it is not cancelled.
 *
 * Changes that come while it looks make it look once more, so none is missed and a flood of them costs one look at a
 * time.
 */
export async function followForeignChanges({
  store,
  logger,
  watched,
  onSurvey,
}: ForeignOptions): Promise<never> {
  let changed = false;
  let ring: (() => void) | undefined;
  const unsubscribe = store.onForeignChange(() => {
    changed = true;
    ring?.();
  });
  try {
    for (;;) {
      if (!changed) {
        await suspend<void>((resume, fail) => {
          ring = resume;
          return fail;
        });
      }
      ring = undefined;
      changed = false;
      try {
        onSurvey(await store.survey(watched()));
      } catch (error) {
        rethrowIfCancelled(error);
        logger.error(errorFacts(error), "changes of other processes could not be looked at");
      }
    }
  } finally {
    unsubscribe();
  }
}
