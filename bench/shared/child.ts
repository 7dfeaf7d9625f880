/**
 * Contestants in processes of their own, asked over Node's IPC channel.
 *
 * A process each, so that nobody's garbage, JIT state or timers weigh on another, and so that CPU time can be told apart.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import * as z from "zod";

/** What a contestant can be asked, by name. */
export type Handlers = Readonly<Record<string, (input: unknown) => unknown>>;

const question = z.object({ id: z.int(), name: z.string(), input: z.unknown().optional() });
const answer = z.object({ id: z.int(), value: z.unknown().optional(), error: z.string().optional() });

/** Processor time that this process has used, in microseconds. */
export function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Answers the questions of the parent until it goes away. `cpuUs` and `rssBytes` can always be asked. */
export function answerParent(handlers: Handlers): void {
  const all: Handlers = { ...handlers, cpuUs, rssBytes: () => process.memoryUsage.rss() };
  const reply = async (message: unknown): Promise<void> => {
    const { id, name, input } = question.parse(message);
    try {
      const handler = all[name];
      if (!handler) throw new Error(`nothing is called ${name}`);
      process.send?.({ id, value: await handler(input) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  };
  process.on("message", (message) => void reply(message));
  // What a contestant keeps open is its own; nobody measures how it ends.
  process.on("disconnect", () => process.exit(0));
  process.send?.({ id: 0, value: "ready" });
}

/** A contestant's process. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** @throws Error with the stack of what failed there */
  ask<T>(name: string, input: unknown, schema: z.ZodType<T>): Promise<T>;
  /** Processor time that it has used, in microseconds. */
  cpuUs(): Promise<number>;
}

/** Tells the parent why this process cannot take part, and ends it. */
export function failStart(reason: string): never {
  process.send?.({ id: 0, error: reason });
  // The message is written before the process ends: the channel is synchronous where fork uses a pipe.
  process.exit(1);
}

interface Asker {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Starts `file` (beside the caller or absolute) and waits until it answers. */
export async function startChild(
  file: URL,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = fork(file, args, { env: { ...process.env, ...env }, execArgv: [...process.execArgv] });
  const asked = new Map<number, Asker>();
  let lastId = 0;
  const ready = Promise.withResolvers<unknown>();
  asked.set(0, ready);
  child.on("message", (message) => {
    const { id, value, error } = answer.parse(message);
    const asker = asked.get(id);
    asked.delete(id);
    if (error === undefined) asker?.resolve(value);
    else asker?.reject(new Error(error));
  });
  const exited = once(child, "exit");
  child.on("exit", (code, signal) => {
    const gone = new Error(`${file.pathname} ended with ${code ?? signal}`);
    for (const { reject } of asked.values()) reject(gone);
    asked.clear();
  });
  const ask = async (name: string, input: unknown): Promise<unknown> => {
    const reply = Promise.withResolvers<unknown>();
    asked.set(++lastId, reply);
    child.send({ id: lastId, name, input });
    return reply.promise;
  };
  await ready.promise;
  return {
    pid: child.pid ?? 0,
    ask: async (name, input, schema) => schema.parse(await ask(name, input)),
    cpuUs: async () => z.number().parse(await ask("cpuUs", undefined)),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await exited;
      }
    },
  };
}
