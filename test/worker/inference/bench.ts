/** An endpoint of models, and what asks it, for tests. */
import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";
import type { JsonObject } from "../../../src/content/json.ts";
import type { Logger } from "../../../src/logger.ts";
import { type NurseryHost, openHost } from "../../../src/nursery/index.ts";
import type { Task } from "../../../src/task/task.ts";
import { type Inference, openInference } from "../../../src/worker/inference/inference.ts";
import type { InferencePolicy } from "../../../src/worker/inference/policy.ts";
import { failureOf } from "../../../src/worker/queue-failure.ts";
import { TestClock } from "../../support/clock.ts";
import { type Answer, type ModelServer, startModelServer } from "../../support/model-server.ts";

/** The key that the policy has. */
export const KEY = "sk-a-key-that-nobody-may-see";
/** What most tests ask. */
export const PROMPT: JsonObject = { prompt: "Say hello" };

const POLICY: Omit<InferencePolicy, "urls"> = {
  key: KEY,
  folder: undefined,
  models: [],
  defaultModel: undefined,
  types: ["text-generation", "chat", "embedding"],
  promptAs: "completion",
  concurrency: 4,
  timeoutMs: 60_000,
};

function task(type: string, payload: JsonObject, modelName: string): Task {
  return {
    id: "0".repeat(32),
    type,
    modelName,
    payload,
    priority: 5,
    state: "running",
    attempt: 1,
    maxAttempts: 3,
    createdAtMs: 0,
    updatedAtMs: 0,
    logs: [],
    deadLetter: false,
    history: [],
  };
}

/** Real time until `is` holds: sockets have no other. */
export async function until(is: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end;) {
    if (is()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail(`it did not come to this: ${what}`);
}

/** Answers with this text as the body of a stream, and ends as `end` says. */
export function raw(body: string, end: "end" | "cut" | "hang" = "end"): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(body);
    if (end === "end") response.end();
    if (end === "cut") setImmediate(() => response.destroy());
  };
}

/** The code and class of a failure. */
export function why({ error }: JsonObject): readonly unknown[] {
  return [Reflect.get(Object(error), "code"), Reflect.get(Object(error), "failureClass")];
}

/** A server, and a clock of one's own for who asks it. */
export class Bench {
  readonly clock: TestClock = new TestClock();
  readonly host: NurseryHost = openHost({ clock: this.clock });
  /** All progress, in order. */
  readonly told: JsonObject[] = [];
  readonly log: string[] = [];
  readonly server: ModelServer;

  constructor(server: ModelServer) {
    this.server = server;
  }

  /** Opens the models of the server, and waits until it is known whether it is there. */
  async open(more: Partial<InferencePolicy> = {}): Promise<Inference> {
    const write = (...words: readonly unknown[]): void => void this.log.push(JSON.stringify(words));
    const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
    const policy = { ...POLICY, urls: [this.server.url], ...more };
    const { clock } = this;
    const inference = await openInference({
      nursery: this.host.nursery,
      clock,
      logger,
      policy,
      random: () => 0.5,
    });
    await until(() => inference.facts.every(({ state }) => state !== "unknown"), "the first poll");
    return inference;
  }

  /** Runs a task. @returns its result, or the failure that its queue would be told of */
  async run(
    inference: Inference,
    what: "text" | "chat" | "embedding",
    payload: JsonObject,
    options: { readonly model?: string; readonly signal?: AbortSignal } = {},
  ): Promise<JsonObject> {
    const { model = "", signal = new AbortController().signal } = options;
    const progress = (patch: JsonObject): void => void this.told.push(patch);
    const context = { signal, attempt: 1, progress, log: () => undefined };
    const work = async (): Promise<JsonObject> => inference[what](task(what, payload, model), context);
    try {
      return await this.host.nursery.run(work, { signal }, "task");
    } catch (error) {
      return { ...failureOf(error) };
    }
  }

  /** Lets all pauses pass until `running` has ended, which takes as many requests as this. */
  async through(running: Promise<JsonObject>, requests: number): Promise<JsonObject> {
    const asked = async (): Promise<JsonObject> => {
      for (let i = 0; i < requests; i++) await this.server.request(i);
      return running;
    };
    return this.clock.autojump(asked());
  }
}

/** Makes a bench for each test of a file. */
export function benches(): { readonly now: Bench } {
  let bench: Bench | undefined;
  beforeEach(async () => {
    bench = new Bench(await startModelServer());
  });
  afterEach(async () => {
    await bench?.host.close();
    await bench?.server.stop();
  });
  return {
    get now() {
      assert.ok(bench);
      return bench;
    },
  };
}
