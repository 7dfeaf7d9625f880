/** A libp2p peer that speaks nothing but newline JSON, and a host that serves it. */
import { multiaddr } from "@multiformats/multiaddr";
import { createAuthority } from "../../src/authority/authority.ts";
import { openLocalCache } from "../../src/cache/local.ts";
import type { JsonObject } from "../../src/content/json.ts";
import { isJsonObject } from "../../src/content/json.ts";
import { briefStatus, detailedStatus } from "../../src/node/status.ts";
import type { Nursery } from "../../src/nursery/index.ts";
import {
  type OldWireNode,
  type P2pHost,
  type P2pHostOptions,
  TASK_QUEUE_PROTOCOL,
} from "../../src/p2p/index.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { type LocalTaskQueue, openLocalQueue } from "../../src/task/local.ts";
import { createPresence } from "../../src/workflow/presence.ts";
import { TestClock } from "../support/clock.ts";
import { addressOf, type Open } from "./hosts.ts";
import { rawPeer } from "./raw-peer.ts";

/** A host that old peers can ask, on a clock of the test. */
export interface OldServer {
  readonly host: P2pHost;
  readonly address: string;
  readonly queue: LocalTaskQueue;
  readonly clock: TestClock;
}

/** Opens a host over an empty queue and cache. `node` replaces parts of what old peers see. */
export async function oldServer(
  open: Open,
  nursery: Nursery,
  node: Partial<OldWireNode> = {},
  options: Partial<P2pHostOptions> = {},
): Promise<OldServer> {
  const clock = new TestClock();
  const stores = openMemoryStores();
  const queue = openLocalQueue({ store: stores.tasks, nursery, clock });
  const presence = createPresence(clock);
  const work = { taskTypes: ["text-generation"], models: [], backends: [], slots: 0, running: 0 };
  let peerId = "";
  const status = async (detail: boolean): Promise<JsonObject> => {
    const brief = { peerId, name: "test", version: "0", work };
    if (!detail) return briefStatus(brief);
    const stats = await queue.queue.stats();
    const nowMs = clock.epochMs();
    const rest = { startedAtMs: nowMs, nowMs, multiaddrs: [], tools: [], mounts: [] };
    return detailedStatus({ ...brief, ...rest, presence, stats });
  };
  const cache = openLocalCache({ store: stores.cache, clock });
  const authority = createAuthority();
  const oldWire: OldWireNode = { authority, queue, presence, cache, status, ...node };
  const host = await open({ oldWire, ...options });
  peerId = host.peerId;
  return { host, address: addressOf(host), queue, clock };
}

/** A peer that asks. */
export interface OldPeer extends AsyncDisposable {
  readonly peerId: string;
  /** Opens a stream, sends the chunks, half-closes if asked to, and reads to the end: the answer's text. */
  send(address: string, chunks: readonly (string | Uint8Array)[], end?: boolean): Promise<string>;
  /** Sends one request as a line. */
  ask(address: string, request: object): Promise<JsonObject>;
}

/** Starts a peer. */
export async function oldPeer(): Promise<OldPeer> {
  const { node } = await rawPeer();
  const send: OldPeer["send"] = async (address, chunks, end = false) => {
    const stream = await node.dialProtocol(multiaddr(address), TASK_QUEUE_PROTOCOL);
    const parts: Uint8Array[] = [];
    const ended = new Promise<void>((resolve) => {
      stream.addEventListener("end", () => resolve());
      stream.addEventListener("close", () => resolve());
      // Either may have happened before anybody listened.
      if (stream.status !== "open" || stream.readableEnded) resolve();
    });
    stream.addEventListener("message", ({ data }) => {
      parts.push(data instanceof Uint8Array ? data : data.subarray());
    });
    for (const chunk of chunks) {
      if (stream.writeStatus === "writable") stream.send(Buffer.from(chunk));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (end) await stream.close();
    await ended;
    if (stream.status === "open") stream.abort(new Error("the answer is here"));
    return Buffer.concat(parts).toString();
  };
  return {
    peerId: node.peerId.toString(),
    send,
    async ask(address, request) {
      const answer: unknown = JSON.parse(await send(address, [`${JSON.stringify(request)}\n`]));
      if (!isJsonObject(answer)) throw new Error("the answer is no object");
      return answer;
    },
    [Symbol.asyncDispose]: async () => node.stop(),
  };
}
