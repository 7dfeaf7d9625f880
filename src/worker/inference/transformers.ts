/**
 * The part of transformers.js that is used, as it is after it was loaded. The package is not there when this is built, so
 * what it exports is looked at instead of trusted.
 */
import { ConfigError } from "../../errors.ts";

const PACKAGE = "@huggingface/transformers";

/** How a text is written. */
export interface GenerateOptions {
  readonly maxTokens: number;
  /** 0: always the likeliest word. */
  readonly temperature: number;
  readonly topP: number | undefined;
  readonly onToken: () => void;
  readonly onText: (delta: string) => void;
}

/** A text that is being written. */
export interface Generation {
  readonly done: Promise<void>;
  /** Ends it after the next token. */
  interrupt(): void;
}

/** A model in memory. */
export interface Pipeline {
  generate(input: unknown, options: GenerateOptions): Generation;
  vectors(inputs: readonly string[]): Promise<readonly (readonly number[])[]>;
  dispose(): Promise<void>;
}

/** The package. */
export interface Transformers {
  /** Reads models from below `path`, which ends with a separator, and never from anywhere else. */
  readOnlyFrom(path: string): void;
  pipeline(task: string, model: string): Promise<Pipeline>;
}

type Callable = (...args: readonly unknown[]) => unknown;
type Constructor = new (...args: readonly unknown[]) => unknown;

/** Loads the package. @throws ConfigError if it is not installed, or is not what it should be */
export async function loadTransformers(): Promise<Transformers> {
  let loaded: unknown;
  try {
    loaded = await import(PACKAGE);
  } catch (error) {
    throw new ConfigError("--inference-folder", undefined, `needs the package ${PACKAGE}`, {
      cause: error,
      hint: `npm install ${PACKAGE} beside this package`,
    });
  }
  return transformersOf(loaded);
}

/** @throws ConfigError */
export function transformersOf(loaded: unknown): Transformers {
  const env = member(loaded, "env");
  const open = callable(loaded, "pipeline");
  if (!isRecord(env)) throw strange("env");
  const parts = {
    streamer: constructor(loaded, "TextStreamer"),
    stopper: constructor(loaded, "InterruptableStoppingCriteria"),
  };
  return {
    readOnlyFrom(path) {
      Object.assign(env, {
        allowRemoteModels: false,
        allowLocalModels: true,
        localModelPath: path,
        useFSCache: false,
        useBrowserCache: false,
      });
    },
    async pipeline(task, model) {
      return pipelineOf(await open(task, model, { local_files_only: true }), parts);
    },
  };
}

interface Parts {
  readonly streamer: Constructor;
  readonly stopper: Constructor;
}

function pipelineOf(opened: unknown, parts: Parts): Pipeline {
  if (!isCallable(opened)) throw strange("pipeline");
  return {
    generate(input, options) {
      const stopper = new parts.stopper();
      const interrupt = callable(stopper, "interrupt");
      const { temperature, topP } = options;
      const streamer = new parts.streamer(member(opened, "tokenizer"), {
        skip_prompt: true,
        skip_special_tokens: true,
        callback_function: options.onText,
        token_callback_function: options.onToken,
      });
      const written = opened(input, {
        max_new_tokens: options.maxTokens,
        do_sample: temperature > 0,
        ...(temperature > 0 && { temperature }),
        ...(topP !== undefined && { top_p: topP }),
        return_full_text: false,
        streamer,
        stopping_criteria: stopper,
      });
      return {
        done: Promise.resolve(written).then(() => undefined),
        interrupt: () => void interrupt.call(stopper),
      };
    },
    async vectors(inputs) {
      const tensor = await opened([...inputs], { pooling: "mean", normalize: true });
      const vectors: unknown = callable(tensor, "tolist").call(tensor);
      if (!isVectors(vectors)) throw strange("tolist");
      return vectors;
    },
    async dispose() {
      await callable(opened, "dispose").call(opened);
    },
  };
}

function isVectors(value: unknown): value is number[][] {
  return (
    Array.isArray(value) &&
    value.every((row) => Array.isArray(row) && row.every((one) => typeof one === "number"))
  );
}

function member(value: unknown, name: string): unknown {
  return (typeof value === "object" && value !== null) || typeof value === "function"
    ? Reflect.get(value, name)
    : undefined;
}

function callable(value: unknown, name: string): Callable {
  const found = member(value, name);
  if (!isCallable(found)) throw strange(name);
  return found;
}

function constructor(value: unknown, name: string): Constructor {
  const found = member(value, name);
  if (!isConstructor(found)) throw strange(name);
  return found;
}

function isCallable(value: unknown): value is Callable {
  return typeof value === "function";
}

function isConstructor(value: unknown): value is Constructor {
  return typeof value === "function";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function strange(name: string): ConfigError {
  return new ConfigError(PACKAGE, undefined, `has no '${name}' as it should`, {
    hint: "install version 3 or later",
  });
}
