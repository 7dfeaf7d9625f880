/** A comment of the issue as the registry sees it, and whose comments count. */
import * as z from "zod";
import { parseComment } from "./comment.ts";
import { readOld } from "./old-record.ts";
import { readSigned } from "./record.ts";
import type { RegistryRecord } from "./registry-record.ts";
import type { GithubIssuesConfig } from "./settings.ts";

/** A comment that holds a record. */
export interface Entry {
  readonly commentId: number;
  /** Login of who wrote it. */
  readonly author: string;
  /** Whether the author belongs to the repository. */
  readonly isMember: boolean;
  readonly record: RegistryRecord;
}

const commentSchema = z.object({
  id: z.number(),
  body: z.string(),
  // The user of a deleted account is null.
  user: z.object({ login: z.string() }).nullish(),
  author_association: z.string().optional(),
});
const MEMBERS: ReadonlySet<string> = new Set(["OWNER", "MEMBER", "COLLABORATOR"]);
const EVERYBODY = "*";

/** The entry in a comment; undefined if it is none, or was changed by somebody else than its subject. */
export async function readEntry(comment: unknown, title: string, nowMs: number): Promise<Entry | undefined> {
  const parsed = commentSchema.safeParse(comment);
  if (!parsed.success) return undefined;
  const { id, body, user, author_association: association = "NONE" } = parsed.data;
  const content = parseComment(title, body);
  if (!content) return undefined;
  // A signed record that is wrong must not count as an unsigned one.
  const record =
    content["record"] === undefined ? readOld(content, nowMs) : await readSigned(content, title, nowMs);
  if (!record) return undefined;
  return { commentId: id, author: user?.login ?? "", isMember: MEMBERS.has(association), record };
}

/** Whether what an author says counts. @param self - the login that this node writes as, if that is known */
export function isTrusted(
  { author, isMember, record }: Entry,
  { authors, oldAuthors }: Pick<GithubIssuesConfig, "authors" | "oldAuthors">,
  self: string | undefined,
): boolean {
  if (!record.signed) return includes(oldAuthors, author);
  if (authors.length > 0) return includes(authors, author) || authors.includes(EVERYBODY);
  return isMember || (self !== undefined && sameLogin(self, author));
}

function includes(logins: readonly string[], login: string): boolean {
  return logins.some((other) => sameLogin(other, login));
}

/** GitHub compares logins without case. */
function sameLogin(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
