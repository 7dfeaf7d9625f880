/** Reading runs from their logs, and adding to them. */
import type { RunEvent, RunHappening } from "./events.ts";
import { EVENT_PAGE } from "./limits.ts";
import { Run } from "./state.ts";
import type { RunChange, WorkflowStore } from "./store.ts";

/** The whole log of a run. */
export async function wholeLog(store: WorkflowStore, runId: string): Promise<readonly RunEvent[]> {
  const events: RunEvent[] = [];
  for (;;) {
    const page = await store.events(runId, events.length, EVENT_PAGE);
    events.push(...page);
    if (page.length < EVENT_PAGE) return events;
  }
}

/** A run as its log makes it now; undefined if there is none. */
export async function loadRun(store: WorkflowStore, runId: string): Promise<Run | undefined> {
  const [first] = await store.events(runId, 0, 1);
  if (first?.kind !== "started") return undefined;
  const run = new Run(runId, first.workflow, first.inputs);
  await readOn(store, run);
  return run;
}

/** Takes in what others have added to a run's log. */
export async function readOn(store: WorkflowStore, run: Run): Promise<void> {
  for (;;) {
    const page = await store.events(run.id, run.length, EVENT_PAGE);
    for (const event of page) run.apply(event, event.atMs);
    if (page.length < EVENT_PAGE) return;
  }
}

/** Happenings as events, numbered from after `length`. */
export function numbered(
  happenings: readonly RunHappening[],
  length: number,
  atMs: number,
): readonly RunEvent[] {
  return happenings.map((happening, index) => ({ ...happening, seq: length + 1 + index, atMs }));
}

/** What of a run's state its row says. */
export function changeOf(run: Run): RunChange {
  const asking = [...run.openSteps].filter((step) => step.state === "asking" && !step.answer).length;
  return { state: run.state, asking };
}
