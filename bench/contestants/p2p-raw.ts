/**
 * Echoes to compare calls with: the same libp2p node, frames and one write a turn, and the same JSON, but no ids to
 * check, no schema, no authority, no scope and no deadline; and the same over bare TCP.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Stream } from "@libp2p/interface";
import type { JsonObject } from "../../src/content/json.ts";
import { encodeFrames, FrameDecoder } from "../../src/p2p/frame.ts";
import { newIdentity } from "../../src/p2p/index.ts";
import { startLibp2p } from "../../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/limits.ts";

/** The protocol of the raw echo. */
export const RAW_PROTOCOL = "/bench/echo/1.0.0";

/** Starts a libp2p node as the product configures it. */
export async function startRawNode(): ReturnType<typeof startLibp2p> {
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  return startLibp2p({ privateKey: await newIdentity(), listen, announce: [], limits: DEFAULT_P2P_LIMITS });
}

/** Sends messages as frames, one write per turn: the least that a coalescing echo must do. */
export class RawPipe {
  readonly #write: (bytes: Buffer) => void;
  #queue: { readonly text: string; readonly bytes: number }[] = [];

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  send(message: object): void {
    const text = JSON.stringify(message);
    if (this.#queue.push({ text, bytes: Buffer.byteLength(text) }) === 1) process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    const queue = this.#queue;
    this.#queue = [];
    this.#write(encodeFrames(queue));
  };
}

/** A pipe over a libp2p stream. */
export function overStream(stream: Stream, onMessage: (message: JsonObject) => void): RawPipe {
  const decoder = new FrameDecoder(() => DEFAULT_P2P_LIMITS.maxFrameBytes, onMessage);
  stream.addEventListener("message", ({ data }) => {
    if (data instanceof Uint8Array) decoder.push(data);
    else for (const chunk of data) decoder.push(chunk);
  });
  return new RawPipe((bytes) => stream.send(bytes));
}

/** A pipe over a TCP connection. */
export function overSocket(socket: Socket, onMessage: (message: JsonObject) => void): RawPipe {
  const decoder = new FrameDecoder(() => DEFAULT_P2P_LIMITS.maxFrameBytes, onMessage);
  socket.setNoDelay(true);
  socket.on("data", (chunk) => decoder.push(chunk));
  return new RawPipe((bytes) => socket.write(bytes));
}

/** Answers what comes over `pipe()` with its own parameters. */
export function echoTo(pipe: () => RawPipe): (message: JsonObject) => void {
  return ({ id, params }) => pipe().send({ jsonrpc: "2.0", id, result: params });
}

/** A TCP server that echoes. */
export function tcpEcho(): Server {
  return createServer((socket) => {
    const pipe: RawPipe = overSocket(
      socket,
      echoTo(() => pipe),
    );
  });
}
