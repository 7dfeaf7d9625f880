/** A real HTTP server on loopback that speaks the part of the OpenAI API that endpoints of models have, and its failures. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";

/** One request that came. */
export interface Asked {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: JsonObject;
  /** Settles when the other side has gone, or the answer was given. */
  readonly closed: Promise<unknown>;
}

/** Answers one request. */
export type Answer = (response: ServerResponse, asked: Asked) => void;

/** The server. */
export interface ModelServer extends AsyncDisposable {
  /** The base URL, ending in `/v1`. */
  readonly url: string;
  /** What it lists. */
  models: string[];
  /** Status of the list of models. */
  listStatus: number;
  /** Answers to the next requests, in order; then comes {@link ModelServer.answer}. */
  readonly next: Answer[];
  /** The usual answer. */
  answer: Answer;
  /** All requests but those for the list, in order. */
  readonly asked: Asked[];
  /** Waits for the request of this number, from 0. */
  request(number: number): Promise<Asked>;
  /** Ends, as a machine that is switched off. */
  stop(): Promise<void>;
  /** Begins anew at the same port. */
  restart(): Promise<void>;
}

/** Writes one event of a stream. */
export function event(response: ServerResponse, value: unknown): void {
  response.write(`data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`);
}

/** One piece of text, as both kinds of streams have it. */
export function piece(words: string, finish?: string): JsonObject {
  return { choices: [{ text: words, delta: { content: words }, finish_reason: finish ?? null }] };
}

/** Streams `words` and ends as it should. */
export function streams(...words: readonly string[]): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const word of words) event(response, piece(word));
    event(response, piece("", "stop"));
    event(response, { choices: [], usage: { prompt_tokens: 3, completion_tokens: words.length } });
    event(response, "[DONE]");
    response.end();
  };
}

/** Refuses. */
export function refuses(
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify({ error: { message, type: "test" } }));
  };
}

/** Starts it on any free port of loopback. */
export async function startModelServer(models: readonly string[] = ["m"], port = 0): Promise<ModelServer> {
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => void serve(request, response));
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    if (path === "/v1/models") {
      if (state.listStatus === 200)
        json(response, { data: state.models.map((id) => ({ id, object: "model" })) });
      else refuses(state.listStatus, "no list")(response, nothing);
      return;
    }
    const body: unknown = JSON.parse(await text(request));
    const asked: Asked = {
      path,
      authorization: request.headers.authorization,
      headers: request.headers,
      body: isJsonObject(body) ? body : {},
      closed: once(response, "close"),
    };
    state.asked.push(asked);
    (state.next.shift() ?? state.answer)(response, asked);
    for (const wake of waiting) wake();
  };
  const listen = async (at: number): Promise<number> => {
    server.listen(at, "127.0.0.1");
    await once(server, "listening");
    return addressOf(server.address()).port;
  };
  const at = await listen(port);
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const state: ModelServer = {
    url: `http://127.0.0.1:${at}/v1`,
    models: [...models],
    listStatus: 200,
    next: [],
    answer: streams("Hello", ", ", "world"),
    asked: [],
    async request(number) {
      for (let asked = state.asked[number]; ; asked = state.asked[number]) {
        if (asked) return asked;
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.add(resolve);
        await promise;
        waiting.delete(resolve);
      }
    },
    stop,
    async restart() {
      await listen(at);
    },
    [Symbol.asyncDispose]: stop,
  };
  return state;
}

/** For answers that look at no request. */
const nothing: Asked = {
  path: "",
  authorization: undefined,
  headers: {},
  body: {},
  closed: Promise.resolve(),
};

/** Answers with JSON. */
export function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === "string") throw new Error("no port");
  return address;
}
