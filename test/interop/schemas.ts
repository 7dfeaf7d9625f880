/** What peers of other languages say. */
import * as z from "zod";
import { jsonObject } from "../../src/content/json.ts";

export const connected: z.ZodType<{ readonly peer_id: string; readonly made_of: readonly string[] }> =
  z.object({
    peer_id: z.string(),
    made_of: z.array(z.string()),
  });

export const identified: z.ZodType<{ readonly agent: string; readonly protocols: readonly string[] }> =
  z.object({
    agent: z.string(),
    protocols: z.array(z.string()),
  });

export const pinged: z.ZodType<{ readonly rtt_us: readonly number[] }> = z.object({
  rtt_us: z.array(z.number()),
});

/** An answer of the newline protocol. */
export const answer: typeof jsonObject = jsonObject;

/** What the peer's servers were asked. */
export const seen: z.ZodType<{
  readonly requests: readonly z.infer<typeof jsonObject>[];
  readonly frames_of_streams: readonly number[];
}> = z.object({ requests: z.array(jsonObject), frames_of_streams: z.array(z.number()) });

/** A row of a task, as the newline protocol has it. */
export const taskAnswer: z.ZodType<{
  readonly ok: true;
  readonly task: {
    readonly task_id: string;
    readonly status: string;
    readonly payload: z.infer<typeof jsonObject>;
    readonly result?: unknown;
    readonly error?: string | null | undefined;
  };
}> = z.object({
  ok: z.literal(true),
  task: z.object({
    task_id: z.string(),
    status: z.string(),
    payload: jsonObject,
    result: z.unknown().optional(),
    error: z.string().nullish(),
  }),
});

export const submitted: z.ZodType<{ readonly ok: true; readonly task_id: string }> = z.object({
  ok: z.literal(true),
  task_id: z.string(),
});
