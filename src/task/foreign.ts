/** Keeps a queue's waiters true when other processes work on the same store. */
import { errorFacts } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { moveOnAfter, rethrowIfCancelled, suspend } from "../nursery/index.ts";
import type { Survey, TaskStore } from "./store.ts";

/**
 * How late changes may be looked at that nobody here waits for. They matter all the same: when others' leases run out, and
 * their process is gone, somebody must know. No lease is shorter.
 */
const IDLE_LOOK_MS = 1000;

/** What it watches and whom it tells. */
export interface ForeignOptions {
  readonly store: Pick<TaskStore, "onForeignChange" | "survey">;
  readonly logger: Logger;
  /** The tasks that somebody waits for. */
  readonly watched: () => readonly string[];
  /** Whether anybody here waits for what others may do. Whoever begins to wait looks for himself first. */
  readonly waiting: () => boolean;
  readonly onSurvey: (survey: Survey) => void;
}

/**
 * Looks at the store whenever others have changed it, as long as it is not cancelled.
 *
 * At once if somebody here waits, else within {@link IDLE_LOOK_MS}. Changes that come while it looks make it look once more, so none is missed and a flood of them costs one look at a
 * time.
 */
export async function followForeignChanges({
  store,
  logger,
  watched,
  waiting,
  onSurvey,
}: ForeignOptions): Promise<never> {
  let changed = false;
  let ring: (() => void) | undefined;
  const unsubscribe = store.onForeignChange(() => {
    changed = true;
    ring?.();
  });
  const heard = (): Promise<void> =>
    suspend<void>((resume, fail) => {
      ring = resume;
      return fail;
    });
  const heardBySomebody = async (): Promise<void> => {
    while (!waiting()) await heard();
  };
  try {
    for (;;) {
      if (!changed) await heard();
      if (!waiting()) await moveOnAfter(IDLE_LOOK_MS, heardBySomebody);
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
