/** What the answers of all workflow tools have, as in the old system. */
import * as z from "zod";
import { jsonObject, type JsonObject } from "../../content/json.ts";
import type { VectorClock } from "../../workflow/clock.ts";
import type { ToolContext } from "../tool.ts";

/** Members that every answer has. */
export const answerFields: { readonly tool: z.ZodString; readonly timestamp: z.ZodNumber } = {
  tool: z.string().describe("Name of the tool"),
  timestamp: z.number().describe("When it answered, in seconds since 1970"),
};

/** What goes into {@link answerFields}. */
export function answeredBy(
  tool: string,
  { epochMs }: Pick<ToolContext, "epochMs">,
): { readonly tool: string; readonly timestamp: number } {
  return { tool, timestamp: epochMs() / 1000 };
}

/** A vector clock in an answer. */
export const clockFields: {
  readonly node_id: z.ZodString;
  readonly vector: z.ZodType<JsonObject>;
  readonly merkle_root: z.ZodString;
} = { node_id: z.string(), vector: jsonObject, merkle_root: z.string() };

/** What goes into {@link clockFields}: a copy, which later events do not change. */
export function clockAnswer(clock: VectorClock): {
  readonly node_id: string;
  readonly vector: JsonObject;
  readonly merkle_root: string;
} {
  return { ...clock.toJSON() };
}
