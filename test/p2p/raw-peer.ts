/** A peer that speaks the protocol byte by byte, and badly if asked to. */
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { JsonObject } from "../../src/content/json.ts";
import { encodeFrames, FrameDecoder } from "../../src/p2p/frame.ts";
import { newIdentity } from "../../src/p2p/index.ts";
import type { Libp2pNode } from "../../src/p2p/libp2p-node.ts";
import { startLibp2p } from "../../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/limits.ts";
import { MCP_P2P_PROTOCOL } from "../../src/p2p/message.ts";

/** One stream, raw. */
export interface RawStream {
  readonly stream: Stream;
  readonly messages: JsonObject[];
  /** Resolves when the stream has ended, however. */
  readonly closed: Promise<void>;
  send(...messages: object[]): void;
}

/** A bare libp2p node that is stopped with the scope it is used in. */
export interface RawPeer extends AsyncDisposable {
  readonly node: Libp2pNode;
  open(address: string): Promise<RawStream>;
  /** Serves the protocol with `onStream`. */
  serve(onStream: (raw: RawStream) => void): Promise<string>;
}

/** Bytes of messages as frames. */
export function frames(...messages: object[]): Buffer {
  return encodeFrames(
    messages.map((message) => {
      const body = JSON.stringify(message);
      return { text: body, bytes: Buffer.byteLength(body) };
    }),
  );
}

/** Starts a raw peer. */
export async function rawPeer(): Promise<RawPeer> {
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  const node = await startLibp2p({
    privateKey: await newIdentity(),
    listen,
    announce: [],
    limits: DEFAULT_P2P_LIMITS,
  });
  return {
    node,
    async open(address) {
      return raw(await node.dialProtocol(multiaddr(address), MCP_P2P_PROTOCOL));
    },
    async serve(onStream) {
      await node.handle(MCP_P2P_PROTOCOL, (stream) => onStream(raw(stream)));
      return String(node.getMultiaddrs()[0]);
    },
    [Symbol.asyncDispose]: async () => node.stop(),
  };
}

function raw(stream: Stream): RawStream {
  const messages: JsonObject[] = [];
  const decoder = new FrameDecoder(
    () => 64 * 1024 * 1024,
    (message) => void messages.push(message),
  );
  stream.addEventListener("message", ({ data }) => {
    if (data instanceof Uint8Array) decoder.push(data);
    else for (const chunk of data) decoder.push(chunk);
  });
  const closed = new Promise<void>((resolve) => stream.addEventListener("close", () => resolve()));
  return { stream, messages, closed, send: (...sent) => void stream.send(frames(...sent)) };
}
