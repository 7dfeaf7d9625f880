/** Models of a folder. The package is stood in for by a module of the same shape; the real one is used where it is installed. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { describe, it } from "node:test";
import { silentLogger } from "../../../src/logger.ts";
import { openHost } from "../../../src/nursery/index.ts";
import type { Backend } from "../../../src/worker/inference/backend.ts";
import { openLocalModels } from "../../../src/worker/inference/local-models.ts";
import type { InferencePolicy } from "../../../src/worker/inference/policy.ts";
import { TextSoFar } from "../../../src/worker/inference/text-so-far.ts";
import { loadTransformers, transformersOf } from "../../../src/worker/inference/transformers.ts";
import { tempFolder } from "../../store/temp-folder.ts";

const POLICY: InferencePolicy = {
  urls: [],
  key: undefined,
  folder: undefined,
  models: [],
  defaultModel: undefined,
  types: ["text-generation", "chat", "embedding"],
  promptAs: "completion",
  concurrency: 1,
  timeoutMs: 60_000,
};

interface Streamer {
  readonly callback_function: (text: string) => void;
  readonly token_callback_function: (tokens: readonly bigint[]) => void;
}

/** A module of the shape of the package, with models that repeat a word until they are stopped. */
class Package {
  readonly env: Record<string, unknown> = { allowRemoteModels: true };
  readonly opened: (readonly unknown[])[] = [];
  readonly asked: (readonly [unknown, Readonly<Record<string, unknown>>])[] = [];
  disposed = 0;
  readonly TextStreamer = class {
    readonly options: Streamer;
    constructor(_tokenizer: unknown, options: Streamer) {
      this.options = options;
    }
  };
  readonly InterruptableStoppingCriteria = class {
    interrupted = false;
    interrupt(): void {
      this.interrupted = true;
    }
  };

  readonly pipeline = async (...args: readonly unknown[]): Promise<unknown> => {
    this.opened.push(args);
    const model = async (input: unknown, options: Readonly<Record<string, unknown>>): Promise<unknown> => {
      this.asked.push([input, options]);
      if (args[0] === "feature-extraction")
        return { tolist: () => (Array.isArray(input) ? input.map((_, i) => [i, 1]) : []) };
      const { streamer, stopping_criteria: stop, max_new_tokens: tokens } = options;
      assert.ok(streamer instanceof this.TextStreamer && stop instanceof this.InterruptableStoppingCriteria);
      for (let i = 0; i < Number(tokens) && !stop.interrupted; i++) {
        streamer.options.token_callback_function([1n]);
        streamer.options.callback_function("la ");
        await new Promise((resolve) => setImmediate(resolve));
      }
      return [];
    };
    return Object.assign(model, {
      tokenizer: {},
      dispose: async () => {
        this.disposed += 1;
      },
    });
  };
}

async function withModels(
  names: readonly string[],
  test: (backend: Backend, loaded: Package, folder: string) => Promise<void>,
): Promise<void> {
  using folder = tempFolder();
  for (const name of names) {
    mkdirSync(join(folder.path, name), { recursive: true });
    writeFileSync(join(folder.path, name, "config.json"), "{}");
  }
  const loaded = new Package();
  const load = async (): Promise<ReturnType<typeof transformersOf>> => transformersOf(loaded);
  const host = openHost();
  try {
    await host.nursery.run(async () => {
      const options = { folder: folder.path, policy: POLICY, logger: silentLogger, load };
      await test(await openLocalModels(options), loaded, folder.path);
    });
  } finally {
    await host.close();
  }
}

const text = (): TextSoFar => new TextSoFar(() => undefined);
const ask = (maxTokens: number, temperature = 0): Parameters<Backend["complete"]>[1] => ({
  prompt: "sing",
  sampling: { max_tokens: maxTokens, temperature },
});

describe("models of a folder", { timeout: 60_000 }, () => {
  it("are its folders with a configuration, and nothing is fetched from elsewhere", () =>
    withModels(["one", "owner/two"], async ({ models }, { env }, folder) => {
      mkdirSync(join(folder, "empty"));
      assert.deepEqual(models, ["one", "owner/two"]);
      assert.deepEqual([env["allowRemoteModels"], env["localModelPath"]], [false, folder + sep]);
    }));

  it("write until they have enough, without chance at temperature 0", () =>
    withModels(["one"], async (backend, { asked, opened }) => {
      const grown = text();
      const end = await backend.complete("one", ask(3), grown);
      assert.equal(grown.text, "la la la ");
      assert.deepEqual(end, { finishReason: "length", usage: { completion_tokens: 3 } });
      assert.equal(asked[0]?.[1]["do_sample"], false);
      assert.equal("temperature" in (asked[0]?.[1] ?? {}), false);
      assert.deepEqual(opened[0], ["text-generation", "one", { local_files_only: true }]);
      await backend.complete("one", ask(1, 0.5), text());
      assert.deepEqual([asked[1]?.[1]["do_sample"], asked[1]?.[1]["temperature"]], [true, 0.5]);
      assert.equal(opened.length, 1, "loaded once");
    }));

  it("stop when their task is cancelled, and only then take the next", () =>
    withModels(["one"], async (backend, { asked }) => {
      const host = openHost();
      const end = new AbortController();
      const grown = text();
      const running = host.nursery.run(() => backend.complete("one", ask(1_000_000), grown), {
        signal: end.signal,
      });
      while (grown.text === "") await new Promise((resolve) => setImmediate(resolve));
      end.abort();
      await assert.rejects(running);
      const stop = asked[0]?.[1]["stopping_criteria"];
      assert.equal(Reflect.get(Object(stop), "interrupted"), true);
      await backend.complete("one", ask(1), text());
      await host.close();
    }));

  it("make a vector for each text", () =>
    withModels(["one"], async (backend) => {
      const { vectors } = await backend.embed("one", { inputs: ["a", "b"] });
      assert.deepEqual(vectors, [
        [0, 1],
        [1, 1],
      ]);
    }));

  it("leave the memory when others are used", () =>
    withModels(["a", "b", "c"], async (backend, loaded) => {
      for (const model of ["a", "b", "a", "c", "a"]) await backend.complete(model, ask(1), text());
      assert.deepEqual([loaded.opened.length, loaded.disposed], [3, 1]);
    }));

  it("are refused by a name that is not among them", () =>
    withModels(["a"], (backend) =>
      assert.rejects(backend.complete("../a", ask(1), text()), { code: "E_MODEL_NOT_FOUND" }),
    ));
});

describe("the package of local models", () => {
  it("is asked for by name, with how to get it, where it is not installed", async (context) => {
    const loaded = await loadTransformers().catch((error: unknown) => error);
    if (!(loaded instanceof Error)) {
      context.skip("@huggingface/transformers is installed");
      return;
    }
    assert.equal(Reflect.get(loaded, "code"), "E_CONFIG");
    assert.match(String(Reflect.get(loaded, "hint")), /npm install @huggingface\/transformers/);
  });

  it("has what is used of it", async (context) => {
    const loaded = await loadTransformers().catch(() => undefined);
    if (!loaded) context.skip("@huggingface/transformers is not installed");
    else loaded.readOnlyFrom("/nowhere/");
  });

  it("is refused if it has another shape", () =>
    assert.throws(() => transformersOf({ env: {}, pipeline: () => undefined }), /TextStreamer/));
});
