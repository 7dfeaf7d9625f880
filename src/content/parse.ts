/** Turns unknown input into what a schema describes, or into an error that says where it is wrong. */
import type * as z from "zod";
import { InvalidInputError } from "../errors.ts";

/** More problems than this at once only bury the first. */
const MAX_ISSUES_SHOWN = 3;

/**
 * What `schema` makes of `value`.
 *
 * @param what - what the value is, for the message
 * @throws InvalidInputError that names the path and the problem of the first issues
 */
export function parseInput<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, MAX_ISSUES_SHOWN).map((issue) => {
    const path = issue.path.map(String).join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  throw new InvalidInputError(`${what}: ${issues.join("; ")}`, { cause: parsed.error });
}
