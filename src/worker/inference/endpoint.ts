/**
 * Models behind an OpenAI-compatible HTTP endpoint: Ollama, vLLM, llama.cpp, LM Studio, or a cloud.
 *
 * The list of models is asked for now and then, which also tells whether the endpoint is there. The `openai` package is
 * loaded with the first task and makes the requests; its own retries, time limits, log and environment variables are off.
 */
import type { OpenAI } from "openai";
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { errorFacts } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import {
  abortable,
  failAfter,
  moveOnAfter,
  pauseAfter,
  rethrowIfCancelled,
  suspend,
} from "../../nursery/index.ts";
import { MAX_MODELS } from "../../task/routing.ts";
import { type Chunk, readChunk, readModels, readVectors } from "./answers.ts";
import type { Backend, TextEnd, Usage, Vectors } from "./backend.ts";
import { type EndpointFetch, endpointFetch } from "./endpoint-fetch.ts";
import { broken, brokenOff, EndpointFailedError } from "./failure.ts";
import { type InferencePolicy, mayUse, namedModels } from "./policy.ts";
import type { ChatAsk, EmbeddingAsk, TextAsk } from "./request.ts";
import type { TextSoFar } from "./text-so-far.ts";

/** How often the list of models of an endpoint that answers is asked for. */
export const POLL_MS = 30_000;
/** How long such an answer may take. */
const POLL_LIMIT_MS = 10_000;
/** Pauses between questions to an endpoint that does not answer: the first at most, and the longest. */
const RETRY_BASE_MS = 1000;
const RETRY_CAP_MS = 60_000;
/** No pause is shorter: a random one may be nothing. */
const MIN_PAUSE_MS = 100;
/** The longest list of models that is read. */
const MAX_LIST_BYTES: number = 4 * 1024 * 1024;
/** The largest answer to a task: a text of the longest kind, each of its tokens in an event with all its trimmings. */
const MAX_ANSWER_BYTES: number = 256 * 1024 * 1024;
/** A name that is longer is not announced. */
const MAX_MODEL_CHARS = 256;
/** Timers take no more; the deadline of the task is what counts. */
const NEVER_MS = 2 ** 31 - 1;
/** An endpoint that has no list of models answers so. */
const NO_LIST: ReadonlySet<number> = new Set([404, 405, 501]);

/** What an endpoint works with. */
export interface EndpointOptions {
  readonly url: string;
  readonly key: string | undefined;
  readonly policy: InferencePolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Told when it comes, goes, or has other models. */
  readonly onChange: () => void;
}

type State =
  | { readonly is: "unknown" }
  | { readonly is: "up" }
  | { readonly is: "down"; readonly why: string };

/** One endpoint. {@link Endpoint.run} must run for it ever to be up. */
export class Endpoint implements Backend {
  readonly name: string;
  readonly #options: EndpointOptions;
  readonly #ask: EndpointFetch;
  #client: Promise<OpenAI> | undefined;
  #state: State = { is: "unknown" };
  #models: readonly string[] = [];
  #listed = false;
  #wake: (() => void) | undefined;
  #doubt = false;

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.name = options.url;
    this.#ask = endpointFetch(options.key, MAX_LIST_BYTES);
  }

  get isUp(): boolean {
    return this.#state.is === "up";
  }

  get models(): readonly string[] {
    return this.isUp ? this.#models : [];
  }

  get facts(): JsonObject {
    const why = this.#state.is === "down" ? { error: this.#state.why } : {};
    return { endpoint: this.name, state: this.#state.is, models_listed: this.#listed, ...why };
  }

  suspect(): void {
    this.#doubt = true;
    this.#wake?.();
  }

  /** Asks for the models until the enclosing scope is cancelled. */
  async run(): Promise<never> {
    for (let failures = 0; ;) {
      this.#doubt = false;
      failures = (await this.#poll()) ? 0 : failures + 1;
      const pause = { baseMs: RETRY_BASE_MS, maxMs: RETRY_CAP_MS, random: this.#options.random };
      const pauseMs = failures === 0 ? POLL_MS : Math.max(MIN_PAUSE_MS, pauseAfter(failures, pause));
      // While it is down it is asked soon enough anyway.
      if (failures > 0 || !this.#doubt) await moveOnAfter(pauseMs, () => this.#untilDoubt(failures > 0));
    }
  }

  async complete(model: string, { prompt, sampling }: TextAsk, text: TextSoFar): Promise<TextEnd> {
    if (this.#options.policy.promptAs === "chat")
      return this.chat(model, { messages: [{ role: "user", content: prompt }], sampling }, text);
    return this.#stream("/completions", { model, prompt, ...sampling }, text);
  }

  chat(model: string, { messages, sampling }: ChatAsk, text: TextSoFar): Promise<TextEnd> {
    return this.#stream("/chat/completions", { model, messages, ...sampling }, text);
  }

  async embed(model: string, { inputs }: EmbeddingAsk): Promise<Vectors> {
    const client = await this.#opened();
    const body = { model, input: inputs, encoding_format: "float" };
    const answer: unknown = await abortable((signal) => client.post("/embeddings", { body, signal }));
    return readVectors(answer, inputs.length);
  }

  async #stream(path: string, asked: JsonObject, text: TextSoFar): Promise<TextEnd> {
    const client = await this.#opened();
    const body = { ...asked, stream: true, stream_options: { include_usage: true } };
    return abortable(async (signal) => {
      const events = await client.post<AsyncIterable<unknown>>(path, { body, signal, stream: true });
      return this.#read(events, text, signal);
    });
  }

  async #read(events: AsyncIterable<unknown>, text: TextSoFar, signal: AbortSignal): Promise<TextEnd> {
    let finishReason: string | undefined;
    let usage: Usage | undefined;
    let chunks = 0;
    for await (const event of events) {
      const chunk: Chunk = readChunk(event);
      chunks++;
      usage = chunk.usage ?? usage;
      finishReason = chunk.finishReason ?? finishReason;
      // Leaving the loop ends the request.
      if (!text.add(chunk.text)) return { finishReason: "length", usage };
    }
    // The package ends a stream that was aborted as if it had come to its end.
    signal.throwIfAborted();
    if (chunks === 0) throw new EndpointFailedError(broken(this, "its answer is no stream of events"));
    if (finishReason === undefined) throw new EndpointFailedError(brokenOff(this));
    return { finishReason, usage };
  }

  #opened(): Promise<OpenAI> {
    this.#client ??= this.#open();
    return this.#client;
  }

  async #open(): Promise<OpenAI> {
    const { OpenAI: Client } = await import("openai");
    const { url, key } = this.#options;
    return new Client({
      baseURL: url,
      // The package insists on one. What is sent is decided by our fetch.
      apiKey: key ?? "none",
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      timeout: NEVER_MS,
      logLevel: "off",
      fetch: endpointFetch(key, MAX_ANSWER_BYTES),
    });
  }

  /** @returns whether it is there */
  async #poll(): Promise<boolean> {
    try {
      const models = await failAfter(POLL_LIMIT_MS, () => abortable((signal) => this.#list(signal)));
      this.#listed = models !== undefined;
      this.#is({ is: "up" }, this.#allowed(models ?? namedModels(this.#options.policy)));
      return true;
    } catch (error) {
      rethrowIfCancelled(error);
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
      this.#is({ is: "down", why: errorFacts(error).message + cause }, []);
      return false;
    }
  }

  /** @returns undefined if the endpoint has no list */
  async #list(signal: AbortSignal): Promise<readonly string[] | undefined> {
    const response = await this.#ask(`${this.#options.url}/models`, { signal });
    if (response.ok) return readModels(await response.json());
    await response.body?.cancel();
    if (NO_LIST.has(response.status) && namedModels(this.#options.policy).length > 0) return undefined;
    throw new Error(`its list of models is answered with ${response.status}`);
  }

  #allowed(models: readonly string[]): readonly string[] {
    const { policy } = this.#options;
    return models
      .filter((model) => model.length <= MAX_MODEL_CHARS && mayUse(policy, model))
      .slice(0, MAX_MODELS);
  }

  #is(state: State, models: readonly string[]): void {
    const { logger, onChange } = this.#options;
    const before = this.#state.is;
    const same = before === state.is && models.join("\n") === this.#models.join("\n");
    this.#state = state;
    this.#models = models;
    if (same) return;
    const facts = { endpoint: this.name, models: models.length };
    if (state.is === "up") logger.info(facts, "an endpoint with models answers");
    if (state.is === "down" && before !== "down")
      logger.warn(
        { ...facts, why: state.why },
        "an endpoint with models does not answer; no task is taken for it",
      );
    onChange();
  }

  async #untilDoubt(isDown: boolean): Promise<void> {
    await suspend<void>((resume, fail) => {
      if (!isDown) this.#wake = resume;
      return fail;
    });
  }
}
