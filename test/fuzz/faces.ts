/**
 * The ways in. A face opens a connection, sends a few bad messages on it, the last of which may break it, and
 * waits until the other side has dealt with them.
 *
 * To fuzz another protocol of libp2p whose messages are frames of JSON-RPC, add a line with `p2pFace`.
 */
import { connect, type Socket } from "node:net";
import { multiaddr } from "@multiformats/multiaddr";
import { MCP_P2P_PROTOCOL } from "../../src/p2p/message.ts";
import { rawPeer } from "../p2p/raw-peer.ts";
import type { Random } from "../support/random.ts";
import { CALLS, MCP } from "./corpus.ts";
import { type Attack, type Face, listener, PROBE_MS, QUIET_MS } from "./face.ts";
import { mutateBytes, mutateValue } from "./mutate.ts";
import { oldWireFace } from "./old-wire.ts";

/** Asked behind the good messages of a connection, so that its answer tells that they were dealt with. */
const END = JSON.stringify({ jsonrpc: "2.0", id: "the-end", method: "ping" });
const END_SEEN = '"the-end"';
const HTTP_END = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const HTTP_END_SEEN = '{"status":"ok"}';
const PROBE_SEEN = "p2p_taskqueue_submit";
const PROBE = JSON.stringify({
  jsonrpc: "2.0",
  id: "probe",
  method: "tools/list",
  params: MCP.length > 0 ? metaOf() : {},
});

function metaOf(): object {
  const [first] = MCP;
  const params = first && "params" in first ? first.params : undefined;
  return typeof params === "object" && params !== null && "_meta" in params ? { _meta: params._meta } : {};
}

/** Every face. */
export const FACES: readonly Face[] = [
  p2pFace(MCP_P2P_PROTOCOL, [...CALLS, ...MCP], framed, 12),
  oldWireFace,
  {
    name: "http",
    perConnection: 12,
    probeSeen: PROBE_SEEN,
    open: async ({ http }) => socketAttack(new URL(http).port, httpMessages, HTTP_END_SEEN, httpProbe()),
  },
  {
    name: "stdio lines",
    perConnection: 25,
    probeSeen: PROBE_SEEN,
    open: async ({ linesPort }) => socketAttack(linesPort, lineMessages, END_SEEN, `${PROBE}\n`),
  },
];

function body(corpus: readonly object[], random: Random): Buffer {
  return Buffer.from(JSON.stringify(mutateValue(random.pick(corpus), random)) ?? "null");
}

function framed(text: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

/** A protocol of libp2p whose messages are texts that `encode` puts on the wire. */
export function p2pFace(
  protocol: string,
  corpus: readonly object[],
  encode: (text: Buffer) => Buffer,
  perConnection: number,
): Face {
  return {
    name: protocol,
    perConnection,
    probeSeen: PROBE_SEEN,
    async open({ p2p }) {
      const peer = await rawPeer();
      const exchange = async (bytes: Buffer, until: string, quietMs: number): Promise<string> => {
        const stream = await peer.node.dialProtocol(multiaddr(p2p), protocol);
        const end = (): void => stream.abort(new Error("seen enough"));
        const quiet = setTimeout(end, quietMs);
        const heard = listener(until, end);
        stream.addEventListener("message", ({ data }) => {
          quiet.refresh();
          heard.push(Buffer.from(data.subarray()));
        });
        const closed = new Promise<void>((resolve) => stream.addEventListener("close", () => resolve()));
        stream.send(bytes);
        await closed;
        clearTimeout(quiet);
        return heard.text();
      };
      return {
        async send(random, messages) {
          const good = Array.from({ length: messages - 1 }, () => encode(body(corpus, random)));
          const end = encode(Buffer.from(END));
          const last = mutateBytes(encode(Buffer.from(JSON.stringify(random.pick(corpus)))), random);
          await exchange(Buffer.concat([...good, end, last]), END_SEEN, QUIET_MS);
        },
        probe: () => exchange(encode(Buffer.from(PROBE)), PROBE_SEEN, PROBE_MS),
        [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
      };
    },
  };
}

function socketAttack(
  port: number | string,
  messages: (random: Random, count: number) => Buffer,
  endSeen: string,
  probe: string,
): Attack {
  const open = (): Socket => connect(Number(port), "127.0.0.1");
  return {
    async send(random, count) {
      await conversation(open(), messages(random, count), endSeen, QUIET_MS);
    },
    probe: () => conversation(open(), Buffer.from(probe), PROBE_SEEN, PROBE_MS),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** Says `bytes`, and listens until the other side ends, says `until`, or nothing more. */
function conversation(socket: Socket, bytes: Buffer, until: string, quietMs: number): Promise<string> {
  return new Promise((resolve) => {
    const heard = listener(until, () => socket.destroy());
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(heard.text()));
    socket.on("data", (chunk) => heard.push(chunk));
    socket.write(bytes);
  });
}

function lineMessages(random: Random, count: number): Buffer {
  const lines = Array.from({ length: count }, () => {
    if (random.below(2) === 0) return body(MCP, random);
    return mutateBytes(Buffer.from(JSON.stringify(random.pick(MCP))), random);
  });
  return Buffer.concat([...lines, Buffer.from(END)].flatMap((line) => [line, Buffer.from("\n")]));
}

function httpProbe(): string {
  const headers = "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
  return `${head("POST", headers, Buffer.byteLength(PROBE))}${PROBE}`;
}

function head(method: string, headers: string, length: number): string {
  const common =
    "Host: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
  return `${method} /mcp HTTP/1.1\r\n${common}${headers}Content-Length: ${length}\r\n\r\n`;
}

function httpMessages(random: Random, count: number): Buffer {
  const good = Array.from({ length: count - 1 }, () => httpMessage(random, body(MCP, random)));
  const last = mutateBytes(httpMessage(random, Buffer.from(JSON.stringify(random.pick(MCP)))), random);
  return Buffer.concat([...good, Buffer.from(HTTP_END), last]);
}

const METHODS = ["POST", "POST", "POST", "POST", "POST", "POST", "GET", "DELETE", "PUT", "OPTIONS"];
const HEADERS = [
  "",
  "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n",
  "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: p2p_taskqueue_status\r\n",
  "Mcp-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n",
  "Mcp-Protocol-Version: 1999-01-01\r\n",
  "Mcp-Session-Id: nobody\r\n",
  "Mcp-Session-Id: \u00ff\r\nOrigin: http://evil.example\r\n",
];

function httpMessage(random: Random, text: Buffer): Buffer {
  const headers = random.pick(HEADERS);
  return Buffer.concat([Buffer.from(head(random.pick(METHODS), headers, text.length), "latin1"), text]);
}
