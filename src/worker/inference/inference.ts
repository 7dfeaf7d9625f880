/** Tasks that a model does: which backend does them, how often it is asked, and what the result is. */
import type { Clock } from "../../clock.ts";
import type { JsonObject } from "../../content/json.ts";
import { WorkFailedError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import {
  Limiter,
  moveOnAfter,
  type Nursery,
  pauseAfter,
  rethrowIfCancelled,
  sleep,
} from "../../nursery/index.ts";
import { modelOf } from "../../task/requirements.ts";
import { MAX_MODELS } from "../../task/routing.ts";
import type { Task } from "../../task/task.ts";
import type { HandlerContext } from "../handlers/handler.ts";
import type { Backend, TextEnd } from "./backend.ts";
import { Endpoint } from "./endpoint.ts";
import { EndpointFailedError, endpointFailure, type EndpointFailure, noModel } from "./failure.ts";
import type { InferencePolicy, InferenceType } from "./policy.ts";
import { readChat, readEmbedding, readText, readTimeoutMs } from "./request.ts";
import { TextSoFar } from "./text-so-far.ts";

/** How often a backend is asked for one attempt at a task. */
const MAX_ASKS = 4;
/** A backend that wants to be left alone for longer gets its task back from the queue instead of keeping a slot. */
const MAX_PAUSE_MS = 10_000;
/** Pauses before asking again, where the backend names none. */
const PAUSES = { baseMs: 250, maxMs: 5000 } as const;
/** Pauses that a backend names are drawn out by up to this part, so that not all come back at once. */
const JITTER = 0.1;

/** Options of {@link openInference}. */
export interface InferenceOptions {
  /** Holds what watches the endpoints. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy: InferencePolicy;
  /** Numbers from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What does tasks with models. */
export interface Inference {
  readonly policy: InferencePolicy;
  /** The models that can be used now, at most {@link MAX_MODELS}. */
  readonly models: readonly string[];
  /** Whether tasks of this type can be taken now. */
  takes(type: InferenceType): boolean;
  /** What status shows of each backend; without secrets. */
  readonly facts: readonly JsonObject[];
  /** Tells `listener` when {@link Inference.takes} or {@link Inference.models} may have changed. */
  onChange(listener: () => void): void;
  text(task: Task, context: HandlerContext): Promise<JsonObject>;
  chat(task: Task, context: HandlerContext): Promise<JsonObject>;
  embedding(task: Task, context: HandlerContext): Promise<JsonObject>;
}

/** Opens the backends that the policy names, and begins to watch them. */
export async function openInference(options: InferenceOptions): Promise<Inference> {
  const inference = new OpenInference(options);
  await inference.open();
  return inference;
}

class OpenInference implements Inference {
  readonly policy: InferencePolicy;
  readonly #options: InferenceOptions;
  readonly #backends: Backend[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #limiter: Limiter;

  constructor(options: InferenceOptions) {
    this.#options = options;
    this.policy = options.policy;
    this.#limiter = new Limiter(options.policy.concurrency);
  }

  async open(): Promise<void> {
    const { nursery, clock, logger, policy, random = Math.random } = this.#options;
    const onChange = (): void => this.#changed();
    for (const [i, url] of policy.urls.entries()) {
      const key = i === 0 ? policy.key : undefined;
      const endpoint = new Endpoint({ url, key, policy, clock, logger, random, onChange });
      this.#backends.push(endpoint);
      nursery.startSoon(() => endpoint.run(), `models of ${url}`);
    }
    if (policy.folder === undefined) return;
    const { openLocalModels } = await import("./local-models.ts");
    this.#backends.push(await openLocalModels({ folder: policy.folder, policy, logger }));
  }

  get models(): readonly string[] {
    return [...new Set(this.#backends.flatMap((backend) => backend.models))].slice(0, MAX_MODELS);
  }

  get facts(): readonly JsonObject[] {
    return this.#backends.map((backend) => ({ ...backend.facts, models: backend.models }));
  }

  takes(type: InferenceType): boolean {
    const { types } = this.policy;
    return types.includes(type) && this.#limiter.available > 0 && this.#backends.some(({ isUp }) => isUp);
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  text(task: Task, context: HandlerContext): Promise<JsonObject> {
    const ask = readText(task.payload);
    return this.#written(task, context, (backend, model, text) => backend.complete(model, ask, text));
  }

  async chat(task: Task, context: HandlerContext): Promise<JsonObject> {
    const ask = readChat(task.payload);
    const result = await this.#written(task, context, (backend, model, text) =>
      backend.chat(model, ask, text),
    );
    return { ...result, message: { role: "assistant", content: result["text"] } };
  }

  async embedding(task: Task, context: HandlerContext): Promise<JsonObject> {
    const ask = readEmbedding(task.payload);
    return this.#within(task, {}, async () => {
      const { model, value } = await this.#ask(task, context, (backend, name) => backend.embed(name, ask));
      const { vectors, usage } = value;
      return { model, embeddings: vectors, dimensions: vectors[0]?.length ?? 0, ...(usage && { usage }) };
    });
  }

  async #written(
    task: Task,
    context: HandlerContext,
    write: (backend: Backend, model: string, text: TextSoFar) => Promise<TextEnd>,
  ): Promise<JsonObject> {
    const text = new TextSoFar(context.progress);
    const partial = {
      get text(): string {
        return text.text;
      },
    };
    return this.#within(task, partial, async () => {
      const { model, value } = await this.#ask(task, context, (backend, name) => {
        text.restart();
        return write(backend, name, text);
      });
      const { finishReason, usage } = value;
      return {
        text: text.text,
        model,
        finish_reason: finishReason,
        ...(usage && { usage }),
        ...(text.truncated && { truncated: true }),
      };
    });
  }

  /** Runs `work` within the task's time and in its turn. */
  async #within(
    task: Task,
    partial: { readonly text?: string },
    work: () => Promise<JsonObject>,
  ): Promise<JsonObject> {
    const timeoutMs = readTimeoutMs(task.payload, this.policy.timeoutMs);
    const done = await moveOnAfter(timeoutMs, async () => {
      const permit = await this.#limiter.acquire();
      try {
        return await work();
      } finally {
        const wasFull = this.#limiter.available === 0;
        permit.release();
        if (wasFull) this.#changed();
      }
    });
    if (done.ok) return done.value;
    const facts = { code: "E_INFERENCE_TIMEOUT", failureClass: "timeout" } as const;
    const message = `the model was not done after ${timeoutMs} ms`;
    const result = partial.text === undefined ? {} : { text: partial.text };
    throw new WorkFailedError({ ...facts, message }, { result });
  }

  /** Asks a backend, again after what may pass. */
  async #ask<T>(
    task: Task,
    { progress }: HandlerContext,
    ask: (backend: Backend, model: string) => Promise<T>,
  ): Promise<{ readonly model: string; readonly value: T }> {
    for (let asks = 1; ; asks++) {
      const { backend, model } = this.#pick(modelOf(task));
      progress({ phase: "asking", model });
      const failure = await this.#asked(backend, model, () => ask(backend, model));
      if ("value" in failure) return { model, value: failure.value };
      const pauseMs = this.#pauseMs(asks, failure);
      if (!failure.again || asks >= MAX_ASKS || pauseMs > MAX_PAUSE_MS) throw failure.error;
      this.#options.logger.debug({ backend: backend.name, taskId: task.id, asks }, failure.error.message);
      progress({ phase: "waiting", wait_ms: Math.round(pauseMs) });
      await sleep(pauseMs);
    }
  }

  async #asked<T>(
    backend: Backend,
    model: string,
    ask: () => Promise<T>,
  ): Promise<{ readonly value: T } | EndpointFailure> {
    const { clock, policy } = this.#options;
    try {
      return { value: await ask() };
    } catch (error) {
      rethrowIfCancelled(error);
      const failed = { name: backend.name, key: policy.key, model, nowMs: clock.epochMs() };
      const failure = error instanceof EndpointFailedError ? error.failure : endpointFailure(error, failed);
      if (failure.doubtful) backend.suspect();
      return failure;
    }
  }

  #pauseMs(asks: number, { afterMs }: EndpointFailure): number {
    const { random = Math.random } = this.#options;
    if (afterMs === undefined) return pauseAfter(asks, { ...PAUSES, random });
    return afterMs * (1 + JITTER * random());
  }

  /** The backend that has the model, and the model's name. @throws WorkFailedError */
  #pick(named: string | undefined): { readonly backend: Backend; readonly model: string } {
    const up = this.#backends.filter(({ isUp }) => isUp);
    const [first] = up;
    if (!first) throw nobodyThere(this.#backends);
    const wanted = named ?? this.policy.defaultModel ?? up.flatMap(({ models }) => models)[0];
    if (wanted === undefined) throw noModel("", "is named, and the worker has none");
    const backend = up.find(({ models }) => models.includes(wanted));
    if (backend) return { backend, model: wanted };
    // The one that has it may be one of those that are away.
    if (up.length < this.#backends.length) throw nobodyThere(this.#backends.filter(({ isUp }) => !isUp));
    throw noModel(wanted, "on this worker");
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function nobodyThere(backends: readonly Backend[]): WorkFailedError {
  const names = backends.map(({ name }) => name).join(", ");
  const facts = { code: "E_INFERENCE_UNREACHABLE", failureClass: "unavailable" } as const;
  return new WorkFailedError({ ...facts, message: `no model can be reached at ${names}` }, { again: true });
}
