/** How findings look in the answers of tools, and what of them is for the owner only. */
import * as z from "zod";
import type { Caller } from "../../authority/caller.ts";
import type { Finding } from "../../peer/finding.ts";

/** A finding as tools give it. */
export const findingSchema: z.ZodType<Finding> = z.object({
  code: z.string(),
  level: z.enum(["problem", "note", "ok"]),
  what: z.string(),
  next: z.string().optional().describe("What to try next"),
});

/** Addresses and paths say how the owner's network and machine are laid out. */
const PLACES =
  /\/(?:ip4|ip6|dns\w*)\/\S+|(?:\/[\w.-]+){2,}|\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:])(?:[\da-f]{1,4}:|:){2,7}(?:[\da-f]{1,4})?(?![\w:])/gi;

function hidden(text: string): string {
  return text.replaceAll(PLACES, "(hidden)");
}

/** The findings as `caller` may see them. */
export function findingsFor(caller: Caller, findings: readonly Finding[]): Finding[] {
  if (caller.kind === "owner") return [...findings];
  return findings.map(({ code, level, what, next }) => ({
    code,
    level,
    what: hidden(what),
    ...(next !== undefined && { next: hidden(next) }),
  }));
}
