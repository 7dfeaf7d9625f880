/** Who wrote a file about itself, so that a reader sees when it has ended. Means something on the writer's machine only. */
import { hostname } from "node:os";
import * as z from "zod";
import { isSameProcess, processStartTime } from "../process.ts";

/** A process of a machine. Old nodes write none of it. */
export interface Writer {
  readonly pid?: number | undefined;
  /** The machine that `pid` belongs to. */
  readonly host?: string | undefined;
  /** When the process was started, see `processStartTime`; tells a pid that was given again. */
  readonly started_at?: string | undefined;
}

/** The fields of a {@link Writer}. */
export const writerFields: {
  readonly pid: z.ZodType<number | undefined>;
  readonly host: z.ZodType<string | undefined>;
  readonly started_at: z.ZodType<string | undefined>;
} = {
  pid: z.int().positive().optional(),
  host: z.string().optional(),
  started_at: z.string().optional(),
};

/** This process. */
export function thisWriter(): Writer {
  return { pid: process.pid, host: hostname(), started_at: processStartTime(process.pid) };
}

/** Whether the writer ran on this machine and is gone. */
export function hasEnded({ pid, host, started_at }: Writer): boolean {
  if (pid === undefined || host !== hostname()) return false;
  return !isSameProcess(pid, started_at);
}
