/** Connections that another process of the same node accepts and hands in. */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** How a server gets connections that it did not accept itself. */
export interface HandedConnections {
  /** How the URLs of the accepting process begin, such as `http://127.0.0.1:8000`. */
  readonly origin: string;
  /** Unix socket on which the other processes of the node reach this one. What lies there is replaced. */
  readonly socketPath: string;
  /** How the ids of this process's sessions begin. */
  readonly sessionPrefix: string;
  /** The path of the socket of the process that began a session; undefined if that is this process, or none. */
  socketOf(sessionId: string): string | undefined;
  /** Gives every connection to `take` from now on. */
  deliver(take: (connection: Socket) => void): void;
}

/** Makes `server` serve the connections that are handed in, and those on its socket. */
export async function takeHanded(server: Server, handed: HandedConnections): Promise<void> {
  await rm(handed.socketPath, { force: true });
  const listening = once(server, "listening");
  server.listen(handed.socketPath);
  await listening;
  handed.deliver((connection) => {
    // As node:http does with those that it accepts.
    connection.setNoDelay(true);
    server.emit("connection", connection);
    connection.resume();
  });
}
