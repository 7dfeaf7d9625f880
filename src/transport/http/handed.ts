/** Connections that another process of the same node accepts and hands in, and sessions that an earlier one had. */
import { once } from "node:events";
import { rename, rm } from "node:fs/promises";
import { type IncomingMessage, request, type Server } from "node:http";
import type { Socket } from "node:net";
import type { SessionRecord } from "./sessions.ts";

/** Names the session that an `initialize` request continues. Heeded on the processes' own sockets only. */
const TAKEN_OVER = "mcpp-session-taken-over";

/** How a server gets connections that it did not accept itself. */
export interface HandedConnections {
  /** How the URLs of the accepting process begin, such as `http://127.0.0.1:8000`. */
  readonly origin: string;
  /** Unix socket on which the other processes of the node reach this one. What lies there is replaced. */
  readonly socketPath: string;
  /** How the ids of this process's sessions begin. */
  readonly sessionPrefix: string;
  /** Sessions of the process whose place this one takes. */
  readonly sessions: readonly SessionRecord[];
  /** The path of the socket of the process that began a session; undefined if that is this process, or none. */
  socketOf(sessionId: string): string | undefined;
  /** Gives every connection to `take` from now on. */
  deliver(take: (connection: Socket) => void): void;
}

/** The id of the session that an `initialize` request continues; undefined if it begins one. */
export function takenOver({ headers, socket }: IncomingMessage): string | undefined {
  const id = headers[TAKEN_OVER];
  // Only a connection on a Unix socket has no address.
  return socket.remoteAddress === undefined && typeof id === "string" ? id : undefined;
}

/**
 * Makes `server` serve the connections that are handed in, and those on its socket.
 *
 * @param path - of the MCP endpoint
 * @param onLost - told of a session that could not be taken over
 */
export async function takeHanded(
  server: Server,
  handed: HandedConnections,
  path: string,
  onLost: (error: unknown) => void,
): Promise<void> {
  // Under its own name only when the sessions are there: others would be told that there are none.
  const early = `${handed.socketPath}.new`;
  await rm(early, { force: true });
  const listening = once(server, "listening");
  server.listen(early);
  await listening;
  for (const session of handed.sessions) await takeOver(session, early, path).catch(onLost);
  await rename(early, handed.socketPath);
  handed.deliver((connection) => {
    // As node:http does with those that it accepts.
    connection.setNoDelay(true);
    server.emit("connection", connection);
    connection.resume();
  });
}

/** Nobody connects any more; whoever has connected is served. Requests of others wait for the next process. */
export async function leaveSocket({ socketPath }: HandedConnections): Promise<void> {
  await rm(socketPath, { force: true });
}

/** Begins the session once more under its id, as its client began it. */
async function takeOver({ id, initialize }: SessionRecord, socketPath: string, path: string): Promise<void> {
  await post(initialize, socketPath, path, { [TAKEN_OVER]: id });
  const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
  await post(initialized, socketPath, path, { "mcp-session-id": id });
}

async function post(
  message: unknown,
  socketPath: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const outgoing = request({
    socketPath,
    path,
    method: "POST",
    headers: {
      host: "localhost",
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
  });
  const answered = once(outgoing, "response");
  outgoing.end(JSON.stringify(message));
  const [answer]: IncomingMessage[] = await answered;
  const ended = answer && once(answer, "end");
  answer?.resume();
  await ended;
  if ((answer?.statusCode ?? 500) >= 300) throw new Error(`the session was answered ${answer?.statusCode}`);
}
