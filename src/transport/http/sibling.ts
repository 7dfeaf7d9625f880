/**
 * Passes requests on to another process of the same node, which has the session that they are for.
 *
 * A session of the initialize era lives in one process, but its requests come on any connection and so to any process.
 * Its id begins with the number of its process, whose socket is in a folder that only the node's user can open.
 */
import {
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";
import { once } from "node:events";
import { sleep } from "../../nursery/index.ts";

/** Idle connections to each of the other processes. */
const MAX_FREE_SOCKETS = 16;
/** Shorter than the other process keeps them, so that none is used while it closes. */
const IDLE_MS = 2000;
/** How long a request waits for a process that is being replaced. */
const HOLD_MS = 30_000;
const HOLD_PAUSE_MS = 100;
/** Headers that are about one connection (RFC 9110, 7.6.1), or about the body as it was sent. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "te",
  "trailer",
  "upgrade",
]);
/** Nobody listens there: the process has gone, and its sessions with it. */
const GONE: ReadonlySet<unknown> = new Set(["ENOENT", "ECONNREFUSED"]);

/** The other processes of a node. */
export interface Siblings {
  /** The path of the socket of the process that began the session; undefined if that is this process, or none. */
  socketOf(sessionId: string): string | undefined;
}

/** Where a request goes. */
export interface Destination {
  /** Of the request, parsed; undefined if it has none. */
  readonly body: unknown;
  readonly socketPath: string;
}

/** Passes requests on. */
export class SiblingRequests {
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS, maxFreeSockets: MAX_FREE_SOCKETS });

  /**
   * Passes a request on, once somebody is there: the process may be about to be replaced.
   *
   * @returns false if no process came; nothing was answered then
   */
  async pass(incoming: IncomingMessage, response: ServerResponse, to: Destination): Promise<boolean> {
    const untilMs = performance.now() + HOLD_MS;
    while (!(await this.#passNow(incoming, response, to))) {
      if (response.destroyed || performance.now() >= untilMs) return false;
      await sleep(HOLD_PAUSE_MS);
    }
    return true;
  }

  /**
   * Sends the request to the process at `socketPath`, and its answer to `response` as it comes.
   *
   * @returns false if no process is there; nothing was answered then
   */
  async #passNow(
    incoming: IncomingMessage,
    response: ServerResponse,
    { body, socketPath }: Destination,
  ): Promise<boolean> {
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const { method = "POST", url = "/" } = incoming;
    const headers = { ...endToEnd(incoming.headers), ...(text && { "content-length": text.length }) };
    const outgoing = request({ socketPath, method, path: url, headers, agent: this.#agent });
    const giveUp = (): void => void outgoing.destroy();
    response.once("close", giveUp);
    try {
      const answered = once(outgoing, "response");
      outgoing.end(text);
      const [answer]: IncomingMessage[] = await answered;
      if (!answer) return false;
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
      response.flushHeaders();
      for await (const chunk of answer) if (!response.write(chunk)) await once(response, "drain");
      response.end();
      return true;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (GONE.has(code) && !response.headersSent) return false;
      // One side has gone: half an answer is completed by nobody.
      response.destroy();
      return true;
    } finally {
      response.off("close", giveUp);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}
