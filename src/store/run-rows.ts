/** Rows of runs and their events as values of ours, and the cursors of lists of runs; the same for all SQL engines. */
import * as z from "zod";
import { InvalidInputError, StoreCorruptError } from "../errors.ts";
import { type RunEvent, runEventSchema, RUN_STATES } from "../workflow/run/events.ts";
import type { RunPage, RunRow } from "../workflow/run/store.ts";
import { textChecksum } from "./checksum.ts";
import { DAMAGE_HINT, jsonOf, parsed, type Row } from "./rows.ts";

/** The columns of {@link runRow}. */
export const RUN_COLUMNS =
  "seq, id, workflow, state, length, asking, conductor, until_ms, created_ms, updated_ms";

const runSchema = z.object({
  seq: z.int(),
  id: z.string(),
  workflow: z.string(),
  state: z.enum(RUN_STATES),
  length: z.int(),
  asking: z.int(),
  conductor: z.string().nullable(),
  until_ms: z.number().nullable(),
  created_ms: z.number(),
  updated_ms: z.number(),
});

/** A run, with its number. */
export interface NumberedRun extends RunRow {
  readonly seq: number;
}

/** @param row - with {@link RUN_COLUMNS} */
export function runRow(row: Row): NumberedRun {
  const {
    conductor,
    until_ms: untilMs,
    created_ms: createdAtMs,
    updated_ms: updatedAtMs,
    ...rest
  } = parsed(runSchema, row);
  return {
    ...rest,
    createdAtMs,
    updatedAtMs,
    ...(conductor !== null && { conductor }),
    ...(untilMs !== null && { conductedUntilMs: untilMs }),
  };
}

/** A run without its number. */
export function withoutNumber(numbered: NumberedRun): RunRow {
  const { seq: _, ...run } = numbered;
  return run;
}

/** The page of runs that were read, one more than the limit if there are more. */
export function runPage(rows: readonly NumberedRun[], limit: number): RunPage {
  const runs = rows.slice(0, limit).map(withoutNumber);
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return last ? { runs, nextCursor: `r${last.seq.toString(36)}` } : { runs };
}

/** The number below which the page of a cursor begins; without a cursor, above all. @throws InvalidInputError */
export function runsBefore(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  const digits = /^r([0-9a-z]{1,10})$/u.exec(cursor)?.[1];
  if (digits !== undefined) return Number.parseInt(digits, 36);
  throw new InvalidInputError("the cursor is not one that a list of runs returned", {
    hint: "pass the nextCursor of the page before, unchanged",
  });
}

/** The checksum of an event, which covers whose it is and where. */
export function eventChecksum(runSeq: number, n: number, text: string): number {
  return textChecksum(runSeq, String(n), text);
}

const eventSchema = z.object({ run: z.int(), n: z.int(), event: z.string(), crc: z.number() });

/** An event from its row. @throws StoreCorruptError if it is not what was written */
export function eventOfRow(row: Row): RunEvent {
  const { run, n, event, crc } = parsed(eventSchema, row);
  if (crc !== eventChecksum(run, n, event))
    throw new StoreCorruptError(`event ${n} of a workflow run is damaged on disk`, { hint: DAMAGE_HINT });
  return parsed(runEventSchema, jsonOf(event));
}
