/** `chat`: gives the next message of a conversation. */
import { aliasesOf } from "../../task/types.ts";
import type { Inference } from "../inference/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "chat";

/**
 * The handler of `chat`. The payload has `messages`, each with `role` and `content`, and what `text-generation` has but for
 * the prompt; tokens and temperature are the backend's unless they are given. The result is that of `text-generation` with
 * the answer as `message` as well.
 */
export function chat(inference: Inference): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    isOpen: () => inference.takes(TYPE),
    run: (task, context) => inference.chat(task, context),
  };
}
