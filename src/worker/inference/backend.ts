/** What runs models for a worker, wherever they are. */
import type { JsonObject } from "../../content/json.ts";
import type { ChatAsk, EmbeddingAsk, TextAsk } from "./request.ts";
import type { TextSoFar } from "./text-so-far.ts";

/** How many tokens went in and came out, as far as the backend counts them. */
export interface Usage {
  readonly prompt_tokens?: number | undefined;
  readonly completion_tokens?: number | undefined;
  readonly total_tokens?: number | undefined;
}

/** How a text came to its end. The text itself is in the {@link TextSoFar} that was passed in. */
export interface TextEnd {
  /** `stop`, `length`, or what the backend calls it. */
  readonly finishReason: string;
  readonly usage: Usage | undefined;
}

/** Vectors, one for each input. */
export interface Vectors {
  readonly vectors: readonly (readonly number[])[];
  readonly usage: Usage | undefined;
}

/** Runs models. Every method rejects with an `McpError`, and ends what it began when its scope is cancelled. */
export interface Backend {
  /** For status and errors; without secrets. */
  readonly name: string;
  /** Whether it answers, as far as is known. */
  readonly isUp: boolean;
  /** Those it has and may be used; empty while it is not up. */
  readonly models: readonly string[];
  /** What status shows. */
  readonly facts: JsonObject;
  complete(model: string, ask: TextAsk, text: TextSoFar): Promise<TextEnd>;
  chat(model: string, ask: ChatAsk, text: TextSoFar): Promise<TextEnd>;
  embed(model: string, ask: EmbeddingAsk): Promise<Vectors>;
  /** Finds out whether it is still there: a request has failed. */
  suspect(): void;
}
