/** A workflow file of a repository, and the task that its tags make of it (contract.md 4.9). */
import { createHash } from "node:crypto";
import type { WorkflowTask } from "../../workflow/scheduler/index.ts";
import { bypassesGithub, priorityOfTags, tagsInWorkflowFile } from "../../workflow/tags.ts";

/** Where GitHub looks for workflows. */
export const WORKFLOW_FOLDER = ".github/workflows";
/** GitHub takes no larger one. */
export const MAX_FILE_BYTES: number = 512 * 1024;
/** A repository with more workflows than this is read no further. */
export const MAX_FILES = 200;
const MAX_WORKFLOW_NAME_CHARS = 200;

/** A file as it was read. */
export interface WorkflowFile {
  /** Without its folder. */
  readonly name: string;
  readonly text: string;
}

/** Where the workflows of one repository are read. */
export interface WorkflowSource {
  /** `owner/name`. */
  readonly repository: string;
  /** All workflow files; undefined if none has changed since they were read last. */
  read(): Promise<readonly WorkflowFile[] | undefined>;
}

/** Whether GitHub takes a file of this name for a workflow. */
export function isWorkflowName(name: string): boolean {
  return /^[^/]+\.ya?ml$/.test(name);
}

/** The task of a workflow; undefined if its tags leave it to GitHub. */
export function taskOf(repository: string, { name, text }: WorkflowFile): WorkflowTask | undefined {
  const tags = tagsInWorkflowFile(text);
  if (!bypassesGithub(tags)) return undefined;
  return {
    taskId: `${repository}/${name}`,
    workflowId: repository,
    name: titleIn(text) ?? name,
    tags,
    priority: priorityOfTags(tags),
  };
}

/** What tells the contents of two files apart. */
export function editionOf({ text }: WorkflowFile): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function titleIn(text: string): string | undefined {
  const [, title = ""] = /^name:[^\S\n]*['"]?([^'"\n]*)/m.exec(text) ?? [];
  return title.trim().slice(0, MAX_WORKFLOW_NAME_CHARS) || undefined;
}
