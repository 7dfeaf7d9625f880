/**
 * The few requests of the REST API that a registry makes, one after the other, as GitHub asks its clients to.
 *
 * Octokit builds and sends them; when, how long and how much is decided here. Nothing that it throws leaves this file:
 * its errors hold the whole request.
 */
import { Octokit } from "@octokit/core";
import * as z from "zod";
import type { Clock } from "../../clock.ts";
import { isJsonObject } from "../../content/json.ts";
import { UnreachableError, MessageTooLargeError, ServerBusyError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { abortable, failAfter, Limiter, rethrowIfCancelled } from "../../nursery/index.ts";
import { type Headers, isLimit, messageOf, MissingError, refused, said, type Subject } from "./failure.ts";
import type { Gate } from "./gate.ts";
import { MAX_ANSWER_BYTES, REQUEST_TIMEOUT_MS } from "./limits.ts";
import type { Credentials } from "./credentials.ts";

/** The version of the API that this was written for; GitHub keeps it for years. */
const API_VERSION = "2022-11-28";
const UNAUTHORIZED = 401;
const NOT_MODIFIED = 304;

/** An answer to a request. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** What to ask for. */
export interface Ask {
  /** `/repos/{owner}/{name}/…`, or a whole URL below the API's. */
  readonly path: string;
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE" | undefined;
  readonly body?: Readonly<Record<string, unknown>> | undefined;
  /** The entity tag of what is known already; the answer may be 304 then. */
  readonly etag?: string | undefined;
  /** Whether it is about a thing below the repository, which may be gone: 404 and 410 are a {@link MissingError}. */
  readonly mayBeGone?: boolean | undefined;
  /** Whether it may belong to somebody else: 403 is a {@link MissingError} too, unless it is a limit. */
  readonly mayBeForeign?: boolean | undefined;
}

/** What the client is made of. */
export interface ApiOptions {
  readonly api: string;
  readonly credentials: Credentials;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What it is asked for. Default: the registry on GitHub Issues. */
  readonly subject?: Subject | undefined;
}

const failureSchema = z.looseObject({
  status: z.number(),
  message: z.string(),
  response: z
    .object({
      headers: z.record(z.string(), z.union([z.string(), z.number()]).optional()),
      data: z.unknown(),
    })
    .optional(),
});

/** A client of the API. */
export class GithubApi {
  readonly #options: ApiOptions;
  readonly #octokit: Octokit;
  readonly #turns = new Limiter(1);
  #skewMs = 0;

  constructor(options: ApiOptions) {
    const { api, logger } = options;
    this.#options = options;
    const log = {
      debug: (text: string) => logger.debug({}, text),
      info: (text: string) => logger.info({}, text),
      warn: (text: string) => logger.warn({}, text),
      error: (text: string) => logger.error({}, text),
    };
    this.#octokit = new Octokit({
      baseUrl: api,
      userAgent: "mcplusplus",
      log,
      request: { log, fetch: boundedFetch },
    });
  }

  /** The present in milliseconds since 1970 as GitHub sees it, which is the same for all nodes. */
  serverNow(): number {
    return this.#options.clock.epochMs() + this.#skewMs;
  }

  /** Whether requests carry a token. */
  async isAuthenticated(): Promise<boolean> {
    return (await this.#options.credentials.token()) !== undefined;
  }

  /**
   * Asks once.
   *
   * @returns success, or 304 if an entity tag was given
   * @throws ServerBusyError, UnreachableError for what passes; ConfigError for what does not; MissingError
   */
  send(ask: Ask): Promise<Answer> {
    return this.#turns.run(async () => {
      const { credentials, gate } = this.#options;
      const { waitMs } = gate;
      if (waitMs > 0) throw new ServerBusyError("GitHub is left alone", Math.ceil(waitMs));
      let answer = await this.#attempt(ask, await credentials.token());
      if (answer.status === UNAUTHORIZED && credentials.renewable) {
        answer = await this.#attempt(ask, await credentials.renew());
      }
      return this.#judge(ask, answer);
    });
  }

  #judge(ask: Ask, answer: Answer): Answer {
    const { gate } = this.#options;
    const { status, headers, body } = answer;
    this.#learnTime(headers);
    if (status < 300 || status === NOT_MODIFIED) {
      gate.succeeded();
      // Octokit gives the text of an answer that it cannot parse.
      if (status === NOT_MODIFIED || typeof body !== "string" || body === "") return answer;
      gate.backOff();
      throw new UnreachableError(`${nameOf(ask)}: the answer is no JSON`);
    }
    const refusal = { status, headers, message: messageOf(body) };
    const isGone = ask.mayBeGone && (status === 404 || status === 410);
    const isForeign = ask.mayBeForeign && status === 403 && !isLimit(refusal);
    if (isGone || isForeign) throw new MissingError(said(refusal, nameOf(ask)));
    throw refused(refusal, nameOf(ask), gate, this.#options.subject);
  }

  async #attempt(ask: Ask, token: string | undefined): Promise<Answer> {
    const { path, method = "GET", body = {}, etag } = ask;
    const headers = {
      accept: "application/vnd.github+json",
      "x-github-api-version": API_VERSION,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(etag !== undefined && { "if-none-match": etag }),
    };
    try {
      return await failAfter(REQUEST_TIMEOUT_MS, () =>
        abortable(async (signal) => {
          const request = { ...body, headers, request: { signal } };
          const answer: Answered = await this.#octokit.request(`${method} ${path}`, request);
          return { status: answer.status, headers: answer.headers, body: answer.data };
        }),
      );
    } catch (error) {
      rethrowIfCancelled(error);
      return this.#refusalIn(error, ask);
    }
  }

  /** The answer in an error of octokit. @throws UnreachableError if there was none */
  #refusalIn(error: unknown, ask: Ask): Answer {
    const parsed = failureSchema.safeParse(error);
    const response = parsed.success ? parsed.data.response : undefined;
    if (parsed.success && response) {
      return { status: parsed.data.status, headers: response.headers, body: response.data };
    }
    this.#options.gate.backOff();
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnreachableError(`${nameOf(ask)}: ${reason}`);
  }

  #learnTime(headers: Headers): void {
    const date = Date.parse(String(headers["date"]));
    if (!Number.isNaN(date)) this.#skewMs = date - this.#options.clock.epochMs();
  }
}

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly data: unknown;
}

function nameOf({ method = "GET", path }: Ask): string {
  return `${method} ${path.replace(/\?.*$/, "")}`;
}

/** `fetch`, but for answers that are larger than any of the API. */
async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (!response.body) return response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES)
      throw new MessageTooLargeError(`an answer of GitHub has more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  const { status, statusText, headers } = response;
  return new Response(Buffer.concat(chunks), { status, statusText, headers });
}

/** A member of an answer that must be a number, such as the id of what was created. @throws UnreachableError */
export function numberIn({ body }: Answer, member: string): number {
  const value = isJsonObject(body) ? body[member] : undefined;
  if (typeof value === "number") return value;
  throw new UnreachableError(`an answer of GitHub has no number '${member}'`);
}
