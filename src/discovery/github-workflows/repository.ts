/**
 * The workflows of a repository on GitHub.
 *
 * The list of files is asked for with its entity tag, so that a look at a repository in which nothing has changed costs
 * nothing of the limit; a file is read once for each of its contents, which GitHub names by their hash.
 */
import * as z from "zod";
import { UnreachableError } from "../../errors.ts";
import type { GithubApi } from "../github-issues/api.ts";
import { MissingError } from "../github-issues/failure.ts";
import {
  isWorkflowName,
  MAX_FILE_BYTES,
  MAX_FILES,
  WORKFLOW_FOLDER,
  type WorkflowFile,
  type WorkflowSource,
} from "./workflow-file.ts";

const listSchema = z.array(
  z.object({
    name: z.string(),
    sha: z.string().regex(/^[0-9a-f]{40,64}$/),
    size: z.number(),
    type: z.string(),
  }),
);
const blobSchema = z.object({ content: z.string(), encoding: z.literal("base64") });
const NOT_MODIFIED = 304;

/** Reads the workflows of `repository` through the API. */
export function repositorySource(repository: string, api: Pick<GithubApi, "send">): WorkflowSource {
  const path = `/repos/${repository}`;
  let etag: string | undefined;
  let known = new Map<string, WorkflowFile>();
  const textOf = async (sha: string): Promise<string> => {
    const { body } = await api.send({ path: `${path}/git/blobs/${sha}` });
    const blob = blobSchema.safeParse(body);
    if (!blob.success)
      throw new UnreachableError(`a workflow of ${repository} is not as the API gives files`);
    return Buffer.from(blob.data.content, "base64").toString("utf8");
  };
  return {
    repository,
    async read() {
      const answer = await listed(api, `${path}/contents/${WORKFLOW_FOLDER}`, etag);
      if (answer === undefined) return [];
      if (answer.status === NOT_MODIFIED) return undefined;
      const list = listSchema.safeParse(answer.body);
      if (!list.success)
        throw new UnreachableError(`the list of workflows of ${repository} is not as the API gives lists`);
      const wanted = list.data.filter(
        ({ name, size, type }) => type === "file" && isWorkflowName(name) && size <= MAX_FILE_BYTES,
      );
      const files = new Map<string, WorkflowFile>();
      for (const { name, sha } of wanted.slice(0, MAX_FILES)) {
        const key = `${sha} ${name}`;
        files.set(key, known.get(key) ?? { name, text: await textOf(sha) });
      }
      known = files;
      // Kept last: if a file could not be read, the list is to be read again.
      etag = answer.etag;
      return [...files.values()];
    },
  };
}

interface Listing {
  readonly status: number;
  readonly body: unknown;
  readonly etag: string | undefined;
}

/** @returns undefined if the repository has no folder of workflows */
async function listed(
  api: Pick<GithubApi, "send">,
  path: string,
  etag: string | undefined,
): Promise<Listing | undefined> {
  try {
    const { status, body, headers } = await api.send({ path, etag, mayBeGone: true });
    const tag = headers["etag"];
    return { status, body, etag: typeof tag === "string" ? tag : undefined };
  } catch (error) {
    if (error instanceof MissingError) return undefined;
    throw error;
  }
}
