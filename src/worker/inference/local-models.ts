/**
 * Models that run in this process: ONNX files in a folder, by transformers.js.
 *
 * The package `@huggingface/transformers` is no part of this one; whoever wants local models installs it beside. Nothing is
 * ever fetched: a model is a folder with its configuration, tokenizer and `onnx/` in it. Loading takes time and memory, so
 * few are kept, and one request runs at a time.
 *
 * Its interface: https://huggingface.co/docs/transformers.js/api/pipelines, …/api/env and …/api/generation/streamers.
 */
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { JsonObject } from "../../content/json.ts";
import { ConfigError, errorFacts, McpError, WorkFailedError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { isCancelled, Limiter, suspend } from "../../nursery/index.ts";
import { MAX_MODELS } from "../../task/routing.ts";
import type { Backend, TextEnd, Vectors } from "./backend.ts";
import { noModel } from "./failure.ts";
import { type InferencePolicy, mayUse } from "./policy.ts";
import type { ChatAsk, EmbeddingAsk, Sampling, TextAsk } from "./request.ts";
import type { TextSoFar } from "./text-so-far.ts";
import { loadTransformers, type Pipeline, type Transformers } from "./transformers.ts";

/** What makes a folder a model. */
const MODEL_FILE = "config.json";
/** How many models are kept in memory. */
const MAX_LOADED = 2;
/** Tokens of an answer if the task names no number: it has to end sometime. */
const DEFAULT_TOKENS = 512;

/** Options of {@link openLocalModels}. */
export interface LocalModelsOptions {
  /** Absolute. */
  readonly folder: string;
  readonly policy: InferencePolicy;
  readonly logger: Logger;
  /** Loads the package. Default: by its name. */
  readonly load?: (() => Promise<Transformers>) | undefined;
}

/**
 * Opens the models of a folder: `<folder>/<name>` and `<folder>/<owner>/<name>`.
 *
 * @throws ConfigError if the package is not installed, or there is no such folder
 */
export async function openLocalModels(options: LocalModelsOptions): Promise<Backend> {
  const { folder, policy, logger, load = loadTransformers } = options;
  const models = (await modelsIn(folder)).filter((model) => mayUse(policy, model)).slice(0, MAX_MODELS);
  const transformers = await load();
  transformers.readOnlyFrom(folder + sep);
  logger.info({ folder, models: models.length }, "models run in this process");
  return new LocalModels(options, models, transformers);
}

async function modelsIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await foldersIn(folder)) {
    if (await isModel(join(folder, name))) found.push(name);
    else found.push(...(await ownedBy(folder, name)));
  }
  return found.toSorted();
}

async function ownedBy(folder: string, owner: string): Promise<string[]> {
  const names = await foldersIn(join(folder, owner));
  const are = await Promise.all(names.map((name) => isModel(join(folder, owner, name))));
  return names.flatMap((name, i) => (are[i] === true ? [`${owner}/${name}`] : []));
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    const why = errorFacts(error).message;
    throw new ConfigError("--inference-folder", undefined, `must be a folder that can be read: ${why}`, {
      cause: error,
    });
  }
}

async function isModel(folder: string): Promise<boolean> {
  const file = await stat(join(folder, MODEL_FILE)).catch(() => undefined);
  return file?.isFile() === true;
}

class LocalModels implements Backend {
  readonly name: string;
  readonly isUp = true;
  readonly models: readonly string[];
  readonly #transformers: Transformers;
  readonly #logger: Logger;
  /** The one used last is at the end. */
  readonly #loaded = new Map<string, Pipeline>();
  readonly #turn = new Limiter(1);

  constructor({ folder, logger }: LocalModelsOptions, models: readonly string[], transformers: Transformers) {
    this.name = folder;
    this.models = models;
    this.#logger = logger;
    this.#transformers = transformers;
  }

  get facts(): JsonObject {
    return { folder: this.name, state: "up", loaded: [...this.#loaded.keys()] };
  }

  suspect(): void {}

  complete(model: string, { prompt, sampling }: TextAsk, text: TextSoFar): Promise<TextEnd> {
    return this.#write(model, prompt, sampling, text);
  }

  chat(model: string, { messages, sampling }: ChatAsk, text: TextSoFar): Promise<TextEnd> {
    return this.#write(model, messages, sampling, text);
  }

  embed(model: string, { inputs }: EmbeddingAsk): Promise<Vectors> {
    return this.#turn.run(async () => {
      const pipeline = await this.#pipeline("feature-extraction", model);
      const vectors = await this.#running(
        () => pipeline.vectors(inputs),
        () => undefined,
      );
      return { vectors, usage: undefined };
    });
  }

  #write(
    model: string,
    input: string | ChatAsk["messages"],
    { max_tokens: maxTokens = DEFAULT_TOKENS, temperature = 0, top_p: topP }: Sampling,
    text: TextSoFar,
  ): Promise<TextEnd> {
    return this.#turn.run(async () => {
      const pipeline = await this.#pipeline("text-generation", model);
      let tokens = 0;
      const generation = pipeline.generate(input, {
        maxTokens,
        temperature,
        topP,
        onToken: () => {
          tokens++;
        },
        onText: (delta) => {
          if (!text.add(delta)) generation.interrupt();
        },
      });
      await this.#running(
        () => generation.done,
        () => generation.interrupt(),
      );
      const isCut = text.truncated || tokens >= maxTokens;
      return { finishReason: isCut ? "length" : "stop", usage: { completion_tokens: tokens } };
    });
  }

  /** Waits for work that ends soon after it was interrupted; a cancelled task is held until then. */
  async #running<T>(work: () => Promise<T>, interrupt: () => void): Promise<T> {
    try {
      return await suspend<T>((resume, fail) => {
        let cancelled: unknown;
        work().then(
          (value) => (cancelled === undefined ? resume(value) : fail(cancelled)),
          (error: unknown) => fail(cancelled ?? error),
        );
        return (reason) => {
          cancelled = reason;
          interrupt();
        };
      });
    } catch (error) {
      if (isCancelled(error) || error instanceof McpError || !(error instanceof Error)) throw error;
      throw failed(error);
    }
  }

  async #pipeline(task: "text-generation" | "feature-extraction", model: string): Promise<Pipeline> {
    if (!this.models.includes(model)) throw noModel(model, `in ${this.name}`);
    const name = `${task} ${model}`;
    const known = this.#loaded.get(name);
    if (known) {
      this.#loaded.delete(name);
      this.#loaded.set(name, known);
      return known;
    }
    await this.#makeRoom();
    const loaded = await this.#running(
      () => this.#transformers.pipeline(task, model),
      () => undefined,
    );
    this.#loaded.set(name, loaded);
    return loaded;
  }

  async #makeRoom(): Promise<void> {
    const [oldest] = this.#loaded;
    if (this.#loaded.size < MAX_LOADED || !oldest) return;
    const [name, pipeline] = oldest;
    this.#loaded.delete(name);
    await this.#running(
      () => pipeline.dispose(),
      () => undefined,
    );
    this.#logger.debug({ model: name }, "a model has left the memory");
  }
}

function failed(error: Error): WorkFailedError {
  const facts = { code: "E_INFERENCE_FAILED", failureClass: "internal" } as const;
  return new WorkFailedError({ ...facts, message: `the model failed: ${error.message}` }, { cause: error });
}
