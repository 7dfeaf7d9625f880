/** What a workflow's tags say about where it may run (contract.md 4.6 and 4.9). */

/** All tags, as they are written. */
export const WORKFLOW_TAGS = [
  "github-api",
  "p2p-eligible",
  "p2p-only",
  "unit-test",
  "code-generation",
  "web-scraping",
  "data-processing",
] as const;

/** One of {@link WORKFLOW_TAGS}. */
export type WorkflowTag = (typeof WORKFLOW_TAGS)[number];

/** More text than this is no workflow file; GitHub's own limit is 512 KiB. */
export const MAX_WORKFLOW_FILE_CHARS: number = 1024 * 1024;

/**
 * A tag from its text: upper or lower case, with hyphens or underscores; a blank around it makes it none, as in the
 * old system.
 */
export function parseTag(text: string): WorkflowTag | undefined {
  const wanted = text.toLowerCase().replaceAll("_", "-");
  return WORKFLOW_TAGS.find((tag) => tag === wanted);
}

/** The tags among `texts`, in their order; what is none is left out. */
export function parseTags(texts: Iterable<string>): readonly WorkflowTag[] {
  return [...texts].flatMap((text) => parseTag(text) ?? []);
}

/** Whether the tags want a run on the peer-to-peer network rather than on GitHub. */
export function bypassesGithub(tags: readonly WorkflowTag[]): boolean {
  return tags.includes("p2p-eligible") || isP2pOnly(tags);
}

/** Whether the tags forbid a run anywhere but on the peer-to-peer network. */
export function isP2pOnly(tags: readonly WorkflowTag[]): boolean {
  return tags.includes("p2p-only");
}

/** The priority of a workflow that was found by its tags: 8, 6 or 5 (higher first). */
export function priorityOfTags(tags: readonly WorkflowTag[]): number {
  if (isP2pOnly(tags)) return 8;
  return tags.includes("p2p-eligible") ? 6 : 5;
}

/** `WORKFLOW_TAGS: a, b` and `P2P_TAGS: 'a'` anywhere; the comments `# P2P: a` and `# Tags: a, b`. */
const TAG_LINES: readonly RegExp[] = [
  /(?:WORKFLOW|P2P)_TAGS:[^\S\n]*['"]?([^'"\n]*)/gi,
  /#[^\S\n]*(?:P2P|Tags):[^\S\n]*([^\n]*)/gi,
];

/**
 * The tags that a GitHub workflow file names, sorted. Lists in YAML are not understood.
 *
 * @param text - the file; what is beyond {@link MAX_WORKFLOW_FILE_CHARS} is not looked at
 */
export function tagsInWorkflowFile(text: string): readonly WorkflowTag[] {
  const file = text.slice(0, MAX_WORKFLOW_FILE_CHARS);
  const lists = TAG_LINES.flatMap((line) => [...file.matchAll(line)].map(([, list = ""]) => list));
  const words = new Set(lists.flatMap((list) => list.split(",")).map((word) => word.trim().toLowerCase()));
  return WORKFLOW_TAGS.filter((tag) => words.has(tag)).toSorted();
}
