/** `shell`: runs a program in a container of the worker's own image, never on the machine itself. */
import * as z from "zod";
import { InvalidInputError } from "../../errors.ts";
import { aliasesOf } from "../../task/types.ts";
import type { Containers } from "../containers/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "shell";
/** Bounds what goes into one request to the engine. */
const MAX_WORDS = 10_000;

const argvSchema = z.array(z.string().min(1)).min(1).max(MAX_WORDS);

/**
 * The handler of `shell`. `argv` is the program and its arguments, exactly; no shell reads them. `timeout_s` is 300 if it
 * is not given. The result is that of `docker.execute`, with `returncode` for the exit code as well.
 */
export function shell(containers: Containers): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    async run(task, context) {
      const argv = argvSchema.safeParse(task.payload["argv"]);
      if (!argv.success)
        throw new InvalidInputError("payload.argv must be a list of words, none of them empty");
      const result = await containers.executeProgram(task, argv.data, context);
      return { ...result, returncode: result["exit_code"] };
    },
  };
}
