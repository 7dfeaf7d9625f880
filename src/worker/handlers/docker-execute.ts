/** `docker.execute`: runs a container of an image. */
import { aliasesOf } from "../../task/types.ts";
import type { Containers } from "../containers/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "docker.execute";

/**
 * The handler of `docker.execute`. The payload is that of the old system (contract.md 6.4); the result has exit code, the
 * ends of both streams, and times. A container that fails is a task that fails, with the same result beside its error:
 * `E_CONTAINER_EXIT`, `E_CONTAINER_TIMEOUT` or `E_CONTAINER_OOM`. It is not run a second time.
 */
export function dockerExecute(containers: Containers): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    run: (task, context) => containers.execute(task, context),
  };
}
