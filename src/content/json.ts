/** The shapes of JSON that messages and tasks carry. */
import * as z from "zod";

/** A JSON object: what payloads and results are. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Accepts a JSON object and nothing else. */
export const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), z.unknown());

/** Whether `value` is a JSON object, not an array and not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** UTF-8 length of the JSON text of `value`, in bytes; 0 for what JSON cannot write. */
export function jsonBytes(value: unknown): number {
  const text = JSON.stringify(value);
  return text === undefined ? 0 : Buffer.byteLength(text);
}
