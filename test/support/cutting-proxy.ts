/** A way to a server that can break at a chosen moment. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** Where the connection breaks: before the server has what was sent, or after it has answered. */
export type Cut = "question" | "answer";

/** A running proxy. */
export interface CuttingProxy extends AsyncDisposable {
  readonly port: number;
  /** Breaks the connection on which the `n`-th message (from 0) from now on is sent. */
  cut(n: number, what: Cut): void;
  /** Whether the last cut was made. */
  readonly done: boolean;
}

/** Opens a proxy on loopback to a port of loopback. */
export async function openCuttingProxy(target: number): Promise<CuttingProxy> {
  let armed: { left: number; readonly what: Cut } | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1");
    let dropAnswer = false;
    const end = (): void => {
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", end).on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    near.on("data", (chunk) => {
      if (armed && armed.left === 0) {
        const { what } = armed;
        armed = undefined;
        if (what === "question") return end();
        dropAnswer = true;
      } else if (armed) armed.left -= 1;
      far.write(chunk);
    });
    far.on("data", (chunk) => {
      if (dropAnswer) end();
      else near.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    cut(n, what) {
      armed = { left: n, what };
    },
    get done() {
      return armed === undefined;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
