/** Recorded truth of the old system, read with a schema. */
import { readFileSync } from "node:fs";
import type * as z from "zod";

/** The file `name` of test/vectors. */
export function vectors<T>(name: string, schema: z.ZodType<T>): T {
  const text = readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8");
  return schema.parse(JSON.parse(text));
}
