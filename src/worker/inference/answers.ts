/** The answers of an OpenAI-compatible endpoint, as far as they are used; other members are left alone. */
import * as z from "zod";
import type { Usage, Vectors } from "./backend.ts";

const count = z.number().min(0).nullish();
const usageSchema = z
  .object({ prompt_tokens: count, completion_tokens: count, total_tokens: count })
  .nullish();

const choice = z.object({
  text: z.string().nullish(),
  delta: z.object({ content: z.string().nullish() }).nullish(),
  finish_reason: z.string().max(64).nullish(),
});
const chunkSchema = z.object({ choices: z.array(choice).default([]), usage: usageSchema });

/** What one event of a stream brings. */
export interface Chunk {
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly usage: Usage | undefined;
}

/** One event of a stream of `/completions` or `/chat/completions`. @throws SyntaxError if it is none */
export function readChunk(event: unknown): Chunk {
  const parsed = chunkSchema.safeParse(event);
  if (!parsed.success) throw new SyntaxError("an event of the stream has the wrong shape");
  const { choices, usage } = parsed.data;
  return {
    text: choices.map(({ text, delta }) => text ?? delta?.content ?? "").join(""),
    finishReason: choices.find(({ finish_reason: reason }) => reason)?.finish_reason ?? undefined,
    usage: usageOf(usage),
  };
}

const vectorsSchema = z.object({
  data: z.array(z.object({ index: z.int().min(0), embedding: z.array(z.number()).min(1) })),
  usage: usageSchema,
});

/** The answer of `/embeddings` to `inputs` texts. @throws SyntaxError if it is none */
export function readVectors(answer: unknown, inputs: number): Vectors {
  const parsed = vectorsSchema.safeParse(answer);
  if (!parsed.success) throw new SyntaxError("the vectors have the wrong shape");
  const { data, usage } = parsed.data;
  const ordered = data.toSorted((a, b) => a.index - b.index);
  if (ordered.length !== inputs || ordered.some(({ index }, i) => index !== i))
    throw new SyntaxError(`there are ${data.length} vectors for ${inputs} texts`);
  return { vectors: ordered.map(({ embedding }) => embedding), usage: usageOf(usage) };
}

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string().min(1) })) });

/** The ids of the answer of `/models`. @throws SyntaxError if it is none */
export function readModels(answer: unknown): readonly string[] {
  const parsed = modelsSchema.safeParse(answer);
  if (!parsed.success) throw new SyntaxError("the list of models has the wrong shape");
  return parsed.data.data.map(({ id }) => id);
}

function usageOf(usage: z.infer<typeof usageSchema>): Usage | undefined {
  if (!usage) return undefined;
  const counts = Object.entries(usage).filter(([, value]) => typeof value === "number");
  return counts.length === 0 ? undefined : Object.fromEntries(counts);
}
