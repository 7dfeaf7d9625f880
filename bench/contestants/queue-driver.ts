/** What every queue is put through, whoever made it. */
import * as z from "zod";
import { answerParent } from "../shared/child.ts";
import { type Load, loadSchema, runLanes, type Sample, sampleSchema } from "../shared/sample.ts";

/** The payload of every task: about 200 bytes of JSON. */
export const PAYLOAD: { readonly text: string } = { text: "x".repeat(180) };

const ZEROS = "0".repeat(32);
/** As many bytes as a task has at the least. */
export const RECORD: string = JSON.stringify({
  id: ZEROS,
  type: "bench",
  payload: PAYLOAD,
  priority: 5,
  digest: ZEROS + ZEROS,
});

/** A queue as the measurement sees it. `J` is whatever a claim gives. */
export interface QueueUnderTest<J> {
  submit(): Promise<unknown>;
  /** Undefined if there was nothing. */
  claim(): Promise<J | undefined>;
  complete(job: J): Promise<unknown>;
}

/** The samples of one turn: each step alone, and all three in a row. */
export interface Steps {
  readonly submit: Sample;
  readonly claim: Sample;
  readonly complete: Sample;
  readonly cycle: Sample;
}

/** Accepts {@link Steps} from another process. */
export const stepsSchema: z.ZodType<Steps> = z.object({
  submit: sampleSchema,
  claim: sampleSchema,
  complete: sampleSchema,
  cycle: sampleSchema,
});

/** Serves `queue` to the parent: `steps` and `cycle`, each given a {@link Load}. */
export function serveQueue<J>(queue: QueueUnderTest<J>): void {
  answerParent({
    steps: (load) => steps(queue, loadSchema.parse(load)),
    cycle: (load) => cycle(queue, loadSchema.parse(load)),
  });
}

async function steps<J>(queue: QueueUnderTest<J>, load: Load): Promise<Steps> {
  const jobs: J[] = [];
  const submit = await runLanes(load, () => queue.submit());
  const claim = await runLanes(load, async () => jobs.push(await claimOne(queue)));
  let next = 0;
  const complete = await runLanes(load, async () => {
    const job = jobs[next++];
    if (job !== undefined) await queue.complete(job);
  });
  return { submit, claim, complete, cycle: await cycle(queue, load) };
}

function cycle<J>(queue: QueueUnderTest<J>, load: Load): Promise<Sample> {
  return runLanes(load, async () => {
    await queue.submit();
    await queue.complete(await claimOne(queue));
  });
}

/** Others may have taken what we put in; as many tasks as claims there are, so one comes up. */
async function claimOne<J>(queue: QueueUnderTest<J>): Promise<J> {
  for (;;) {
    const job = await queue.claim();
    if (job !== undefined) return job;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
