/** `embedding`: turns texts into vectors. */
import { aliasesOf } from "../../task/types.ts";
import type { Inference } from "../inference/index.ts";
import type { Handler } from "./handler.ts";

const TYPE = "embedding";

/**
 * The handler of `embedding`. The payload has `input`, one text or a list of them. The result has `embeddings`, one vector
 * for each text in their order, `dimensions`, `model`, and `usage` if the backend counts.
 */
export function embedding(inference: Inference): Handler {
  return {
    type: TYPE,
    aliases: aliasesOf(TYPE),
    isOpen: () => inference.takes(TYPE),
    run: (task, context) => inference.embedding(task, context),
  };
}
