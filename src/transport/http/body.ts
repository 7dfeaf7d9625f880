/** Reads the body of a request within a limit. */
import type { IncomingMessage } from "node:http";
import { ConnectionLostError, InvalidInputError, MessageTooLargeError } from "../../errors.ts";
import { HTTP_LIMITS } from "./limits.ts";

/** The largest request body. */
export const MAX_HTTP_BODY_BYTES: number = HTTP_LIMITS.maxBodyBytes.value;

/**
 * The body as JSON.
 *
 * @throws {@link MessageTooLargeError} as soon as it is known to exceed {@link MAX_HTTP_BODY_BYTES}
 * @throws {@link InvalidInputError} if it is no JSON
 * @throws {@link ConnectionLostError} if the client went away before its end
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const bytes = await readBytes(request);
  try {
    const body: unknown = JSON.parse(bytes.toString("utf8"));
    return body;
  } catch (cause) {
    throw new InvalidInputError("the body is no JSON", { cause });
  }
}

// Listeners instead of `for await`: the iterator costs as much as parsing a small message.
function readBytes(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_HTTP_BODY_BYTES) refuse();
    };
    const whole = (): void => {
      stop();
      const [first] = chunks;
      resolve(chunks.length === 1 && first ? first : Buffer.concat(chunks, bytes));
    };
    const lost = (cause?: Error): void => {
      stop();
      reject(new ConnectionLostError("the client went away", { cause }));
    };
    // Every request is closed in the end, and an error that nobody wants costs a tenth of a call.
    const stop = (): void => {
      request.off("data", take).off("end", whole).off("close", lost);
    };
    const refuse = (): void => {
      // What still comes is read and dropped, so that the client gets to see the answer.
      stop();
      request.resume();
      reject(new MessageTooLargeError(`the body is larger than ${MAX_HTTP_BODY_BYTES} bytes`));
    };
    // Stays: a request may break off after its end too, and an error without a listener ends the process.
    request.on("error", lost);
    request.on("end", whole).on("close", lost);
    if (Number(request.headers["content-length"] ?? 0) > MAX_HTTP_BODY_BYTES) refuse();
    else request.on("data", take);
  });
}
