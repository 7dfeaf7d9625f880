/** Settings of models: where they are, which may be used, and how much. */
import { choice, duration, integer, type Kind, list, path, text } from "../kind.ts";
import { names, none, type SettingTable } from "./setting.ts";

const MAX_CONCURRENCY = 1024;
const SECOND_MS = 1000;
const TEN_MINUTES_MS = 600_000;
const DAY_MS = 86_400_000;

const endpoint: Kind<string> = text(
  "url",
  "an http(s) URL up to and with /v1, such as http://127.0.0.1:11434/v1, without user, query or slash at its end",
  /^https?:\/\/[^\s/?#@]+(\/[^\s/?#]+)*$/,
);
const model: Kind<string> = text(
  "model",
  "the name of a model such as llama3 or org/name; * at the end stands for the rest of the name",
  /^\S{1,256}$/,
);

/** Whether and how tasks use models. */
export const INFERENCE: Pick<
  SettingTable,
  | "inferenceUrls"
  | "inferenceKeyFile"
  | "inferenceKey"
  | "inferenceFolder"
  | "inferenceModels"
  | "inferenceDefaultModel"
  | "inferenceTypes"
  | "inferencePromptAs"
  | "inferenceConcurrency"
  | "inferenceTimeoutMs"
> = {
  inferenceUrls: {
    ...names("inference-url"),
    env: "MCPP_INFERENCE_URLS",
    key: "inference_urls",
    kind: list(endpoint),
    fallback: () => [],
    fallbackText: "none: no task is done by a model elsewhere",
    summary:
      "OpenAI-compatible endpoints whose models do tasks: Ollama, vLLM, llama.cpp, LM Studio, a cloud.",
  },
  inferenceKeyFile: {
    ...names("inference-key-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary:
      "File that holds the key for the first endpoint; it must not be readable by others. No other endpoint gets it.",
  },
  inferenceKey: {
    env: "MCPP_INFERENCE_KEY",
    kind: text("key", "a key without white space", /^[\x21-\x7e]{1,4096}$/),
    fallback: none,
    fallbackText: "none",
    summary: "Key for the first endpoint.",
    secret: true,
  },
  inferenceFolder: {
    ...names("inference-folder"),
    kind: path(),
    fallback: none,
    fallbackText: "none: no model runs in the node",
    summary:
      "Folder of models in ONNX that run in the node itself; needs the package @huggingface/transformers. Nothing is downloaded.",
  },
  inferenceModels: {
    ...names("inference-model"),
    env: "MCPP_INFERENCE_MODELS",
    key: "inference_models",
    kind: list(model),
    fallback: () => [],
    fallbackText: "all that the endpoints and the folder have",
    summary: "Models that tasks may use.",
  },
  inferenceDefaultModel: {
    ...names("inference-default-model"),
    kind: text("model", "the name of a model", /^\S{1,256}$/),
    fallback: none,
    fallbackText: "the first there is",
    summary: "Model of tasks that name none.",
  },
  inferenceTypes: {
    ...names("inference-type"),
    env: "MCPP_INFERENCE_TYPES",
    key: "inference_types",
    kind: list(choice("text-generation", "chat", "embedding")),
    fallback: () => ["text-generation", "chat", "embedding"],
    summary: "Which tasks for models are taken.",
  },
  inferencePromptAs: {
    ...names("inference-prompt-as"),
    kind: choice("completion", "chat"),
    fallback: () => "completion",
    summary:
      "How the prompt of text-generation is sent: to /completions, or as a message to /chat/completions where there is no other.",
  },
  inferenceConcurrency: {
    ...names("inference-concurrency"),
    kind: integer("n", 1, MAX_CONCURRENCY),
    fallback: () => 4,
    summary: "How many tasks are with the models at once.",
  },
  inferenceTimeoutMs: {
    ...names("inference-timeout"),
    kind: duration(SECOND_MS, DAY_MS),
    fallback: () => TEN_MINUTES_MS,
    summary: "The longest time that a model may take for a task; a task can ask for less.",
  },
};
