/** Reads the body of a request within a limit. */
import type { IncomingMessage } from "node:http";
import { InvalidInputError, MessageTooLargeError } from "../../errors.ts";

/** The largest request body: a task's payload and its envelope fit. */
export const MAX_HTTP_BODY_BYTES: number = 16 * 1024 * 1024;

/**
 * The body as JSON.
 *
 * @throws {@link MessageTooLargeError} as soon as it is known to exceed {@link MAX_HTTP_BODY_BYTES}
 * @throws {@link InvalidInputError} if it is no JSON
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const tooLarge = (): Error =>
    new MessageTooLargeError(`the body is larger than ${MAX_HTTP_BODY_BYTES} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > MAX_HTTP_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_HTTP_BODY_BYTES) throw tooLarge();
    chunks.push(part);
  }
  const text = Buffer.concat(chunks, bytes).toString("utf8");
  try {
    const body: unknown = JSON.parse(text);
    return body;
  } catch (cause) {
    throw new InvalidInputError("the body is no JSON", { cause });
  }
}
