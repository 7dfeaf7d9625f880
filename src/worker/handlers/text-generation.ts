/** `text-generation`: continues a text. */
import { aliasesOf } from "../../task/types.ts";
import type { Inference } from "../inference/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "text-generation";

/**
 * The handler of `text-generation`. The payload is that of the old system (contract.md 6.2): `prompt`, `max_new_tokens` or
 * `max_tokens` (128), `temperature` (0.2), with `top_p`, `stop`, `seed` and `timeout_s` besides; the model is the task's, or
 * `model_name` of the payload. The text is told as progress while it grows. The result has `text`, `model`,
 * `finish_reason`, and `usage` if the backend counts.
 */
export function textGeneration(inference: Inference): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    isOpen: () => inference.takes(TYPE),
    run: async (task, context) => inference.text(task, context),
  };
}
