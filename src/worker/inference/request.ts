/** What tasks ask of a model, read out of their payloads (contract.md 6.2). Null counts as absent, and 0 as 0. */
import * as z from "zod";
import type { JsonObject } from "../../content/json.ts";
import { parseInput } from "../../content/parse.ts";

/** Tokens of a text if the task names no number, as in the old system. */
const DEFAULT_TOKENS = 128;
/** The temperature of a text if the task names none, as in the old system. */
const DEFAULT_TEMPERATURE = 0.2;
/** More tokens than any model writes at once. */
const MAX_TOKENS = 1_000_000;
const MAX_TEMPERATURE = 100;
const MAX_STOPS = 16;
const MAX_STOP_CHARS = 256;
/** How many messages a conversation may have. */
const MAX_MESSAGES = 10_000;
/** How many texts are turned into vectors at once; endpoints take no more. */
export const MAX_INPUTS = 2048;
/** A day: longer is a mistake in units. */
const MAX_TIMEOUT_S = 86_400;

/** How a model chooses its words; what is absent is up to the backend. */
export interface Sampling {
  readonly max_tokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly seed?: number | undefined;
  readonly presence_penalty?: number | undefined;
  readonly frequency_penalty?: number | undefined;
  readonly stop?: readonly string[] | undefined;
}

/** Continues a text. */
export interface TextAsk {
  readonly prompt: string;
  readonly sampling: Sampling;
}

/** One message of a conversation; text, or parts as the endpoint knows them. */
export interface Message {
  readonly role: string;
  readonly content: string | readonly JsonObject[];
}

/** Goes on with a conversation. */
export interface ChatAsk {
  readonly messages: readonly Message[];
  readonly sampling: Sampling;
}

/** Turns texts into vectors. */
export interface EmbeddingAsk {
  readonly inputs: readonly string[];
}

const tokens = z.int().min(1).max(MAX_TOKENS).nullish();
const penalty = z.number().min(-10).max(10).nullish();
const stop = z.string().min(1).max(MAX_STOP_CHARS);
const samplingShape = {
  max_new_tokens: tokens,
  max_tokens: tokens,
  temperature: z.number().min(0).max(MAX_TEMPERATURE).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  stop: z.union([stop, z.array(stop).max(MAX_STOPS)]).nullish(),
};
const samplingSchema = z.object(samplingShape);
const textSchema = z.object({ ...samplingShape, prompt: z.string().min(1) });
const message = z.object({
  role: z.string().min(1).max(MAX_STOP_CHARS),
  content: z.union([z.string(), z.array(z.record(z.string(), z.unknown()))]),
});
const chatSchema = z.object({
  ...samplingShape,
  messages: z.array(message).min(1).max(MAX_MESSAGES),
});
const input = z.string().min(1);
const embeddingSchema = z.object({ input: z.union([input, z.array(input).min(1).max(MAX_INPUTS)]) });
const timeoutSchema = z.object({ timeout_s: z.number().positive().max(MAX_TIMEOUT_S).nullish() });

/** @throws InvalidInputError */
export function readText(payload: JsonObject): TextAsk {
  const { prompt, ...rest } = parseInput(textSchema, payload, "payload");
  const sampling = samplingOf(rest);
  return {
    prompt,
    sampling: { max_tokens: DEFAULT_TOKENS, temperature: DEFAULT_TEMPERATURE, ...sampling },
  };
}

/** @throws InvalidInputError */
export function readChat(payload: JsonObject): ChatAsk {
  const { messages, ...rest } = parseInput(chatSchema, payload, "payload");
  return { messages, sampling: samplingOf(rest) };
}

/** @throws InvalidInputError */
export function readEmbedding(payload: JsonObject): EmbeddingAsk {
  const { input: given } = parseInput(embeddingSchema, payload, "payload");
  return { inputs: typeof given === "string" ? [given] : given };
}

/** How long the task may take: as long as it asks for, if the worker allows as much. @throws InvalidInputError */
export function readTimeoutMs(payload: JsonObject, longestMs: number): number {
  const { timeout_s: seconds } = parseInput(timeoutSchema, payload, "payload");
  return Math.min(longestMs, seconds === undefined || seconds === null ? longestMs : seconds * 1000);
}

function samplingOf(given: z.infer<typeof samplingSchema>): Sampling {
  const { max_new_tokens: newTokens, max_tokens: allTokens, stop: stops, ...rest } = given;
  const maxTokens = newTokens ?? allTokens ?? undefined;
  return {
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => typeof value === "number")),
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(stops !== undefined && stops !== null && { stop: typeof stops === "string" ? [stops] : stops }),
  };
}
