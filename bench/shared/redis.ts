/** A Redis of our own for the time of a measurement. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A running Redis. */
export interface Redis extends AsyncDisposable {
  readonly port: number;
}

const START_LIMIT_MS = 5000;
const LOOK_EVERY_MS = 20;

/**
 * Starts `redis-server` on a free loopback port, with its files in `folder`, appending to a log.
 *
 * @param appendfsync - `everysec` is its own default; with `always` it answers when it is on disk, as a database does
 * @returns undefined if this machine has none
 */
export async function startRedis(
  folder: string,
  appendfsync: "everysec" | "always",
): Promise<Redis | undefined> {
  const port = await freePort();
  const files = ["--dir", folder, "--appendonly", "yes", "--appendfsync", appendfsync, "--save", ""];
  const server = spawn("redis-server", ["--bind", "127.0.0.1", "--port", String(port), ...files], {
    stdio: "ignore",
  });
  const gone = Promise.withResolvers<false>();
  server.once("error", () => gone.resolve(false));
  server.once("exit", () => gone.resolve(false));
  if (!(await Promise.race([gone.promise, answers(port)]))) {
    server.kill();
    return undefined;
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  const until = performance.now() + START_LIMIT_MS;
  while (performance.now() < until) {
    const socket = connect(port, "127.0.0.1");
    const opened = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (opened) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return false;
}
