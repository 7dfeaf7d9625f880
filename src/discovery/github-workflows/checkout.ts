/** The workflows of a repository that is checked out on this machine. */
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { UnreachableError } from "../../errors.ts";
import {
  isWorkflowName,
  MAX_FILE_BYTES,
  MAX_FILES,
  WORKFLOW_FOLDER,
  type WorkflowFile,
  type WorkflowSource,
} from "./workflow-file.ts";

/** Reads the workflows in `folder`, the top of a checkout of `repository`. */
export function checkoutSource(repository: string, folder: string): WorkflowSource {
  const workflows = join(folder, WORKFLOW_FOLDER);
  return {
    repository,
    async read() {
      const names = (await namesIn(workflows)).filter(isWorkflowName).toSorted().slice(0, MAX_FILES);
      const files = await Promise.all(names.map((name) => fileAt(join(workflows, name), name)));
      return files.filter((file) => file !== undefined);
    },
  };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw new UnreachableError(`the workflows in ${folder} cannot be read`, { cause: error });
  }
}

/** Only plain files: a link may lead anywhere, and a pipe never ends. It may go while it is read. */
async function fileAt(path: string, name: string): Promise<WorkflowFile | undefined> {
  const about = await lstat(path).catch(() => undefined);
  if (!about?.isFile() || about.size > MAX_FILE_BYTES) return undefined;
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text === undefined ? undefined : { name, text };
}
