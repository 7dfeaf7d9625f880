/** `docker.github`: builds an image from a Git repository and runs it. */
import { aliasesOf } from "../../task/types.ts";
import type { Containers } from "../containers/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "docker.github";

/**
 * The handler of `docker.github`. The payload is that of the old system (contract.md 6.5), with `commit` for a whole
 * commit id; the result is that of `docker.execute` with `repo_url` and `commit`. Clone and image are removed afterwards.
 */
export function dockerGithub(containers: Containers): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    run: (task, context) => containers.executeRepository(task, context),
  };
}
