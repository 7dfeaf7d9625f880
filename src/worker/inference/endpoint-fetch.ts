/**
 * Requests to an endpoint, with our headers and within our limits.
 *
 * Also what the `openai` package uses: whatever headers it would add, also out of environment variables, are left out; a
 * redirection is an error, so that a key goes nowhere else; and what comes back is counted, because the package would
 * keep a line of any length.
 */

/** An endpoint answered with more than is taken. */
export class AnswerTooLargeError extends Error {
  override readonly name = "AnswerTooLargeError";
}

/** The part of `fetch` that is used. */
export type EndpointFetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** @param maxBytes - the most that an answer may have, as it was sent, unpacked */
export function endpointFetch(key: string | undefined, maxBytes: number): EndpointFetch {
  return async (url, init = {}) => {
    const headers = new Headers({ accept: "application/json, text/event-stream" });
    if (init.body !== undefined && init.body !== null) headers.set("content-type", "application/json");
    if (key !== undefined) headers.set("authorization", `Bearer ${key}`);
    const response = await fetch(url, { ...init, headers, redirect: "error" });
    return response.body === null ? response : limited(response, response.body, maxBytes);
  };
}

function limited(response: Response, body: ReadableStream<Uint8Array>, maxBytes: number): Response {
  let left = maxBytes;
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        left -= chunk.byteLength;
        if (left < 0) throw new AnswerTooLargeError(`its answer has more than ${maxBytes} bytes`);
        controller.enqueue(chunk);
      },
    }),
  );
  const { status, statusText, headers } = response;
  return new Response(counted, { status, statusText, headers });
}
