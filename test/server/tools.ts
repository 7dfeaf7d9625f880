/** Tools for tests of the server: each shows one behaviour of a call. */
import * as z from "zod";
import { sleep } from "../../src/nursery/index.ts";
import { defineTool, type Tool, type ToolAnnotations } from "../../src/tools/index.ts";

const annotations: ToolAnnotations = {
  title: "Test",
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

/** Answers what it was given. */
export const echo: Tool = defineTool({
  name: "echo",
  description: "Answers the text it was given.",
  input: z.strictObject({ text: z.string() }),
  output: z.object({ ok: z.boolean(), text: z.string() }),
  annotations,
  grant: "observe",
  run: async ({ text }) => ({ ok: true, text }),
});

/** Reports progress three times and returns at once. */
export const steps: Tool = defineTool({
  name: "steps",
  description: "Reports three steps.",
  input: z.strictObject({}),
  output: z.object({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  async run(_input, context) {
    for (const step of [1, 2, 3]) context.progress(step, 3, `step ${step}`);
    return { ok: true };
  },
});

/** Fails with what nobody expected. */
export const breaks: Tool = defineTool({
  name: "breaks",
  description: "Fails.",
  input: z.strictObject({}),
  output: z.object({ ok: z.boolean() }),
  annotations,
  grant: "observe",
  async run() {
    throw new RangeError("broken inside");
  },
});

/** A tool that never ends by itself, and the signals its calls were given. */
export interface Endless {
  readonly tool: Tool;
  /** Resolves with the signal of the next call, once that has begun. */
  begun(): Promise<AbortSignal>;
}

/** Makes a tool that waits until it is told to stop. */
export function endless(deadlineMs?: number): Endless {
  const signals: AbortSignal[] = [];
  const waiting: ((signal: AbortSignal) => void)[] = [];
  const tool = defineTool({
    name: "endless",
    description: "Waits until it is told to stop.",
    input: z.strictObject({}),
    output: z.object({ ok: z.boolean() }),
    annotations,
    grant: "observe",
    ...(deadlineMs !== undefined && { deadlineMs }),
    async run(_input, { signal }) {
      const next = waiting.shift();
      if (next) next(signal);
      else signals.push(signal);
      await sleep(3_600_000);
      return { ok: true };
    },
  });
  return {
    tool,
    begun: () => {
      const [signal] = signals.splice(0, 1);
      return signal ? Promise.resolve(signal) : new Promise((resolve) => waiting.push(resolve));
    },
  };
}

/** Resolves when `signal` has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
