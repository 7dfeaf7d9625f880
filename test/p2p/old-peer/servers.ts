/** Peers that speak only the older protocols: real libp2p nodes that know nothing of our methods. */
import type { Stream } from "@libp2p/interface";
import type { JsonObject } from "../../../src/content/json.ts";
import { jsonObject } from "../../../src/content/json.ts";
import { FrameDecoder } from "../../../src/p2p/frame.ts";
import { MCP_P2P_PROTOCOL } from "../../../src/p2p/message.ts";
import { TASK_QUEUE_PROTOCOL } from "../../../src/p2p/message.ts";
import { frames, rawPeer, type RawPeer } from "../raw-peer.ts";

/** An old peer that is stopped with the scope it is used in. */
export interface OldServer extends AsyncDisposable {
  readonly address: string;
  readonly peerId: string;
  /** The requests that came, in order. */
  readonly requests: JsonObject[];
  /** The same as they were written. */
  readonly lines: string[];
  readonly peer: RawPeer;
}

/** Answers one request: an object is written as JSON, a text as it is, undefined not at all. */
export type Answer = (request: JsonObject, stream: Stream) => object | string | undefined;

function onBytes(stream: Stream, take: (bytes: Buffer) => void): void {
  stream.addEventListener("message", ({ data }) => take(Buffer.from(data.subarray())));
}

/** What the newline service saw. */
export interface LineServer extends OldServer {
  /** How many streams were opened; how many of them ended without a request, and how many were reset. */
  readonly streams: { opened: number; unused: number; reset: number };
}

/** Serves newline JSON as the Python service does: one request, one answer, and the stream is closed. */
export async function lineServer(answer: Answer): Promise<LineServer> {
  const peer = await rawPeer();
  const streams = { opened: 0, unused: 0, reset: 0 };
  const requests: JsonObject[] = [];
  const lines: string[] = [];
  await peer.node.handle(
    TASK_QUEUE_PROTOCOL,
    (stream) => {
      const chunks: Buffer[] = [];
      streams.opened += 1;
      // As a server does that reads a line and finds the end.
      stream.addEventListener("remoteCloseWrite", () => void stream.close().catch(() => undefined));
      stream.addEventListener("close", () => {
        if (chunks.length === 0) streams.unused += 1;
        if (stream.status === "reset") streams.reset += 1;
      });
      onBytes(stream, (bytes) => {
        chunks.push(bytes);
        const line = Buffer.concat(chunks).toString();
        if (!line.endsWith("\n")) return;
        const request = jsonObject.parse(JSON.parse(line));
        lines.push(line);
        requests.push(request);
        const answered = answer(request, stream);
        if (answered === undefined || stream.status !== "open") return;
        stream.send(Buffer.from(typeof answered === "string" ? answered : `${JSON.stringify(answered)}\n`));
        void stream.close().catch(() => undefined);
      });
    },
    { maxInboundStreams: 1000 },
  );
  return { ...serverOf(peer, requests, lines), streams };
}

/** What the initialize-first service did. */
export interface SessionServer extends OldServer {
  /** Frames of each stream, in the order of the streams. */
  readonly framesOfStreams: number[];
}

/** Limits of a {@link sessionServer}; those of the Python service by default. */
export interface SessionServerOptions {
  readonly maxFrames?: number;
  readonly maxFrameBytes?: number;
  /** Whether `initialize` tells the limits. */
  readonly tells?: boolean;
  /** Whether `initialize` is refused. */
  readonly refuses?: boolean;
  /** The node to serve on. Default: a new one. */
  readonly on?: RawPeer;
}

/** Serves the initialize-first dialect: framed JSON-RPC, one after the other, with limits for each stream. */
export async function sessionServer(
  answer: Answer,
  options: SessionServerOptions = {},
): Promise<SessionServer> {
  const { maxFrames = 128, maxFrameBytes = 1024 * 1024 } = options;
  const peer = options.on ?? (await rawPeer());
  const requests: JsonObject[] = [];
  const framesOfStreams: number[] = [];
  await peer.node.handle(
    MCP_P2P_PROTOCOL,
    (stream) => {
      const number = framesOfStreams.push(0) - 1;
      let initialized = false;
      let over = false;
      const reply = (message: object | string): void => {
        if (stream.status !== "open") return;
        stream.send(typeof message === "string" ? textFrame(message) : frames(message));
      };
      const refuse = (id: unknown, code: number, message: string): void => {
        reply({ jsonrpc: "2.0", id, error: { code, message } });
        over = true;
        void stream.close().catch(() => undefined);
      };
      const onMessage = (message: JsonObject, bytes: number): void => {
        if (over) return undefined;
        const { id, method } = message;
        framesOfStreams[number] = (framesOfStreams[number] ?? 0) + 1;
        if (bytes > maxFrameBytes) return refuse(null, -32003, "frame_too_large");
        if ((framesOfStreams[number] ?? 0) > maxFrames) return refuse(id, -32010, "rate_limited");
        if (method === "initialize" && options.refuses !== true) {
          initialized = true;
          const limits = { max_frame_bytes: maxFrameBytes, max_frames: maxFrames };
          const told = options.tells === false ? {} : { limits };
          return reply({ jsonrpc: "2.0", id, result: { ok: true, protocolVersion: "2024-11-05", ...told } });
        }
        if (!initialized) return refuse(id, -32000, "init_required");
        if (method !== "tools/call") return refuse(id, -32601, "method_not_found");
        const params = jsonObject.parse(message["params"]);
        if (params["name"] !== "task_queue.rpc") return refuse(id, -32002, "unknown_tool");
        const request = jsonObject.parse(params["arguments"]);
        requests.push(request);
        const content = answer(request, stream);
        if (content === undefined) return undefined;
        if (typeof content === "string")
          return reply(`{"jsonrpc": "2.0", "id": ${String(id)}, "result": {"content": ${content}}}`);
        return reply({ jsonrpc: "2.0", id, result: { content } });
      };
      const decoder = new FrameDecoder(() => 64 * 1024 * 1024, onMessage);
      onBytes(stream, (bytes) => decoder.push(bytes));
    },
    { maxInboundStreams: 1000 },
  );
  return { ...serverOf(peer, requests, []), framesOfStreams };
}

function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

function serverOf(peer: RawPeer, requests: JsonObject[], lines: string[]): OldServer {
  return {
    peer,
    requests,
    lines,
    address: String(peer.node.getMultiaddrs()[0]),
    peerId: peer.node.peerId.toString(),
    [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
  };
}

interface Row {
  readonly [column: string]: unknown;
  status: string;
}

/** The operations of the Python service over a queue in memory, as far as clients can tell. */
export function oldQueue(): Answer {
  const rows = new Map<string, Row>();
  const cache = new Map<string, unknown>();
  let lastId = 0;
  const operations: Readonly<Record<string, (request: JsonObject) => JsonObject>> = {
    submit({ task_type, model_name, payload }) {
      const task_id = (++lastId).toString(16).padStart(32, "0");
      const row = { task_id, task_type, model_name, payload, status: "queued", assigned_worker: null };
      const times = { created_at: 1_700_000_000.5 + lastId, updated_at: 1_700_000_000.5 + lastId };
      rows.set(task_id, { ...row, ...times, result: null, error: null });
      return { task_id };
    },
    claim({ worker_id, supported_task_types: types }) {
      const wanted = Array.isArray(types) ? types : [];
      for (const [id, row] of rows) {
        if (row.status !== "queued" || (wanted.length > 0 && !wanted.includes(row["task_type"]))) continue;
        const { result: _r, error: _e, updated_at: _u, ...claimed } = row;
        rows.set(id, { ...row, status: "running", assigned_worker: worker_id });
        return { task: { ...claimed, status: "running", assigned_worker: worker_id } };
      }
      return { task: null };
    },
    complete({ task_id, status, result, error }) {
      const row = rows.get(String(task_id));
      if (row) rows.set(String(task_id), { ...row, status: String(status), result, error });
      return { task_id };
    },
    get: ({ task_id }) => ({ task: rows.get(String(task_id)) ?? null }),
    wait: ({ task_id }) => ({ task: rows.get(String(task_id)) ?? null }),
    list({ status, limit, task_types: types }) {
      const wanted = Array.isArray(types) ? types : [];
      const tasks = [...rows.values()].filter(
        (row) =>
          (status === null || row.status === status) &&
          (wanted.length === 0 || wanted.includes(row["task_type"])),
      );
      return { tasks: tasks.slice(0, Number(limit)) };
    },
    status: () => ({ capabilities: { task_types: ["text-generation"] }, session: "" }),
    "peer.heartbeat": ({ peer_id }) => ({ peer: peer_id, scheduler: { known_peers: [] } }),
    call_tool: ({ tool_name, args }) => ({ tool: tool_name, result: args }),
    "cache.get": ({ key }) => ({ key, hit: cache.has(String(key)), value: cache.get(String(key)) ?? null }),
    "cache.has": ({ key }) => ({ key, hit: cache.has(String(key)) }),
    "cache.set": ({ key, value }) => {
      cache.set(String(key), value);
      return { key };
    },
    "cache.delete": ({ key }) => {
      cache.delete(String(key));
      return { key, deleted: true };
    },
  };
  return (request) => {
    const operation = operations[String(request["op"])];
    const answer = operation?.(request) ?? { ok: false, error: "unknown_op" };
    return { ok: true, ...answer, peer_id: "old" };
  };
}
