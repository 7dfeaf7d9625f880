/** One measurement: many calls, what they took, and what they cost. */
import * as z from "zod";
import { cpuUs } from "./child.ts";

/** What came of one measurement. */
export interface Sample {
  readonly operations: number;
  /** Wall time of the whole. */
  readonly ms: number;
  /** Processor time of the process that measured, in microseconds. */
  readonly cpuUs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Accepts a {@link Sample} from another process. */
export const sampleSchema: z.ZodType<Sample> = z.object({
  operations: z.number(),
  ms: z.number(),
  cpuUs: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
});

/** How long to measure, and how many calls are under way at once. */
export interface Load {
  readonly lanes: number;
  /** Stop beginning calls after this long. Default: never. */
  readonly ms?: number | undefined;
  /** Make this many calls altogether. Default: as many as the time allows. */
  readonly count?: number | undefined;
}

/** Accepts a {@link Load} from another process. */
export const loadSchema: z.ZodType<Load> = z.object({
  lanes: z.int(),
  ms: z.number().optional(),
  count: z.int().optional(),
});

/** Keeps `lanes` calls under way until the load is done. */
export async function runLanes(
  { lanes, ms = Number.POSITIVE_INFINITY, count = Number.POSITIVE_INFINITY }: Load,
  call: () => Promise<unknown>,
): Promise<Sample> {
  const times: number[] = [];
  const cpuBefore = cpuUs();
  const startedAt = performance.now();
  const until = startedAt + ms;
  let left = count;
  const lane = async (): Promise<void> => {
    for (let before = performance.now(); before < until && left > 0;) {
      left -= 1;
      await call();
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const total = performance.now() - startedAt;
  return { ...timesOf(times), ms: total, cpuUs: cpuUs() - cpuBefore };
}

/** The percentiles of single times. */
export function timesOf(times: number[]): Pick<Sample, "operations" | "p50Ms" | "p99Ms"> {
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? Number.NaN;
  return { operations: times.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Calls in a second. */
export function perSecond({ operations, ms }: Sample): number {
  return (operations * 1000) / ms;
}

/** Processor time of one call, in microseconds. */
export function cpuPerCall(sample: Sample): number {
  return sample.cpuUs / sample.operations;
}

/** The median time of one call, in milliseconds. */
export function p50(sample: Sample): number {
  return sample.p50Ms;
}

/** The time that 99 of 100 calls stay below, in milliseconds. */
export function p99(sample: Sample): number {
  return sample.p99Ms;
}
