/** A libp2p peer of another language in a process of its own, driven with lines of JSON. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import * as z from "zod";
import { COMMAND_LIMIT_MS, START_LIMIT_MS } from "./limits.ts";

/** How long a peer may take to end when its input has ended. */
const END_LIMIT_MS = 3000;

/** How a peer program is started. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** What a peer program serves. */
export interface ForeignOptions {
  /** Which protocols of the Python service. Default: none. */
  readonly serve?: "line" | "session" | "both" | "none";
  /** What requests must show. Default: nothing. */
  readonly token?: string;
  /** What its command line begins with. Default: nothing. */
  readonly inside?: readonly string[];
}

/** A running peer, ended with the scope it is used in. */
export interface ForeignPeer extends AsyncDisposable {
  readonly peerId: string;
  /** Where it listens, with its id. */
  readonly address: string;
  /** Library and language, with versions. */
  readonly version: string;
  /** Does a command and gives its value. @throws Error with what the peer says went wrong */
  run<T>(command: string, args: object, value: z.ZodType<T>): Promise<T>;
}

const readySchema = z.object({
  ready: z.literal(true),
  peer_id: z.string(),
  multiaddrs: z.array(z.string()).min(1),
  version: z.string(),
});
const outcomeSchema = z.object({
  id: z.int(),
  ok: z.boolean(),
  value: z.unknown().optional(),
  error: z.string().optional(),
});

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Starts a peer and waits until it listens. */
export async function startForeign(program: Program, options: ForeignOptions = {}): Promise<ForeignPeer> {
  const { serve = "none", token = "", inside = [] } = options;
  const given = [...program.args, "--serve", serve, "--token", token];
  const [command = "", ...args] = [...inside, program.command, ...given];
  const child = spawn(command, args, { env: program.env, stdio: ["pipe", "pipe", "pipe"] });
  const { stdin, stdout, stderr } = child;
  const said: string[] = [];
  stderr.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  const waiters = new Map<number, Waiter>();
  const gone = (): Error => new Error(`the peer has ended\n${said.join("").slice(-4000)}`);
  const ready = Promise.withResolvers<z.infer<typeof readySchema>>();
  const onLine = (line: string): void => {
    const message: unknown = JSON.parse(line);
    const outcome = outcomeSchema.safeParse(message);
    if (!outcome.success) return ready.resolve(readySchema.parse(message));
    const { id, ok, value, error } = outcome.data;
    const waiter = waiters.get(id);
    waiters.delete(id);
    if (ok) waiter?.resolve(value);
    else waiter?.reject(new Error(error));
  };
  createInterface({ input: stdout }).on("line", onLine);
  child.once("error", ready.reject);
  child.once("close", () => {
    ready.reject(gone());
    for (const waiter of waiters.values()) waiter.reject(gone());
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), START_LIMIT_MS);
  const { peer_id: peerId, multiaddrs, version } = await ready.promise.finally(() => clearTimeout(timer));
  let last = 0;
  return {
    peerId,
    address: withId(multiaddrs[0] ?? "", peerId),
    version,
    async run(name, parameters, schema) {
      const id = ++last;
      const value = await new Promise<unknown>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${name} took too long`)), COMMAND_LIMIT_MS);
        const settled = (settle: () => void): void => {
          clearTimeout(late);
          settle();
        };
        waiters.set(id, {
          resolve: (result) => settled(() => resolve(result)),
          reject: (error) => settled(() => reject(error)),
        });
        stdin.write(`${JSON.stringify({ id, do: name, ...parameters })}\n`);
      });
      return schema.parse(value);
    },
    [Symbol.asyncDispose]: () => end(child),
  };
}

function withId(address: string, peerId: string): string {
  return address.includes("/p2p/") ? address : `${address}/p2p/${peerId}`;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), END_LIMIT_MS);
  await exit.finally(() => clearTimeout(timer));
  assert.ok(child.exitCode !== null || child.signalCode !== null);
}
