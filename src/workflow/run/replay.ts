/** Decides a run once more from its log, and compares each decision with the one that was taken. */
import { canonicalJson } from "../../content/canonical-json.ts";
import { nextDecision } from "./decide.ts";
import { happeningOf, isDecision, type RunEvent, type RunHappening } from "./events.ts";
import { Run } from "./state.ts";

/** A decision that came out otherwise. */
export interface Divergence {
  /** The event's place in the log. */
  readonly seq: number;
  /** What is in the log. */
  readonly logged: RunHappening;
  /** What follows from the events before it; absent if nothing does. */
  readonly decided?: RunHappening | undefined;
}

/** What a replay found. */
export interface ReplayReport {
  readonly runId: string;
  /** Whether every decision of the log came out the same, bit for bit. */
  readonly identical: boolean;
  readonly events: number;
  readonly decisions: number;
  /** The first decision that came out otherwise; what comes after it means nothing. */
  readonly divergence?: Divergence | undefined;
}

/** Replays a log. @throws TypeError if it does not begin with its start */
export function replay(runId: string, events: readonly RunEvent[]): ReplayReport {
  const [first] = events;
  if (first?.kind !== "started") throw new TypeError(`the log of run ${runId} does not begin with its start`);
  const run = new Run(runId, first.workflow, first.inputs);
  let decisions = 0;
  for (const event of events) {
    const logged = happeningOf(event);
    if (isDecision(logged)) {
      decisions += 1;
      const decided = nextDecision(run);
      if (decided === undefined || canonicalJson(decided) !== canonicalJson(logged))
        return {
          runId,
          identical: false,
          events: events.length,
          decisions,
          divergence: { seq: event.seq, logged, decided },
        };
    }
    run.apply(logged, event.atMs);
  }
  return { runId, identical: true, events: events.length, decisions };
}
