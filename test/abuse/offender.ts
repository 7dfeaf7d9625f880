/** The peer that does what it must not, in a process of its own. */
import { connect, type Socket } from "node:net";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { privateKeyFromProtobuf } from "@libp2p/crypto/keys";
import { multiaddr } from "@multiformats/multiaddr";
import type { Connection, Stream } from "@libp2p/interface";
import * as z from "zod";
import { answerParent } from "../../bench/shared/child.ts";
import { newIdentity } from "../../src/p2p/index.ts";
import type { Libp2pNode } from "../../src/p2p/libp2p-node.ts";
import { startLibp2p } from "../../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../../src/p2p/limits.ts";
import { MCP_P2P_PROTOCOL } from "../../src/p2p/message.ts";
import { frames } from "../p2p/raw-peer.ts";

const LOW_PRIORITY = 5;
const order = z.object({
  attack: z.string(),
  address: z.string(),
  ms: z.number(),
  key: z.string().optional(),
});

interface Attack {
  readonly address: string;
  readonly node: Libp2pNode;
  readonly untilMs: number;
  /** Counts what was done. */
  did(what: string, times?: number): void;
}

const call = (id: unknown, name: string, value: unknown = 1): object => {
  return { jsonrpc: "2.0", id, method: `mcp++/${name}`, params: { value } };
};
const head = (bytes: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(bytes);
  return out;
};
let stopped = false;
const left = ({ untilMs }: Attack): boolean => !stopped && performance.now() < untilMs;
/** A turn of the event loop; and a break where nothing else would give one. */
const pause = (ms = 1): Promise<void> => sleep(ms);

async function stream(attack: Attack): Promise<Stream | undefined> {
  try {
    const signal = AbortSignal.timeout(3000);
    const options = { signal, maxOutboundStreams: Infinity };
    const opened = await attack.node.dialProtocol(multiaddr(attack.address), MCP_P2P_PROTOCOL, options);
    opened.addEventListener("message", () => attack.did("answers"));
    attack.did("streams");
    return opened;
  } catch {
    attack.did("refused");
    await pause(20);
    return undefined;
  }
}

/** Sends `bytes` on one stream after the other. */
function sending(...bytes: readonly Uint8Array[]): (attack: Attack) => Promise<void> {
  return async (attack) => {
    while (left(attack)) {
      const open = await stream(attack);
      for (const chunk of bytes) await send(open, chunk, attack);
      await pause(10);
    }
  };
}

async function send(open: Stream | undefined, bytes: Uint8Array, attack: Attack): Promise<boolean> {
  if (open?.status !== "open" || open.writeStatus !== "writable") return false;
  try {
    open.send(bytes);
    attack.did("sent");
    while (open.writableNeedsDrain && open.status === "open" && left(attack)) await pause();
    return true;
  } catch {
    attack.did("broken off");
    return false;
  }
}

async function flood(attack: Attack, next: (turn: number) => Uint8Array): Promise<void> {
  let open = await stream(attack);
  for (let turn = 0; left(attack); turn++) {
    if (!(await send(open, next(turn), attack))) open = await stream(attack);
    if (turn % 16 === 0) await pause();
  }
}

async function connection(attack: Attack): Promise<Connection | undefined> {
  try {
    return await attack.node.dial(multiaddr(attack.address), { signal: AbortSignal.timeout(3000) });
  } catch {
    attack.did("refused");
    await pause(20);
    return undefined;
  }
}

/** A stream of the muxer on which no protocol is asked for. */
async function mutedStream(open: Connection): Promise<Stream | undefined> {
  const muxer: unknown = Reflect.get(open, "muxer");
  if (typeof muxer !== "object" || muxer === null) return undefined;
  const create: unknown = Reflect.get(muxer, "createStream");
  if (typeof create !== "function") return undefined;
  return create.call(muxer, {});
}

async function storm(attack: Attack, end: (opened: Stream) => void): Promise<void> {
  while (left(attack)) {
    const open = await connection(attack);
    if (open) await burst(attack, open, end);
    await pause();
  }
}

async function burst(attack: Attack, open: Connection, end: (opened: Stream) => void): Promise<void> {
  try {
    for (let i = 0; i < 200; i++) {
      const opened = await mutedStream(open);
      if (opened) end(opened);
      attack.did("streams");
    }
  } catch {
    attack.did("broken off");
  }
}

function socket({ address }: Attack): Socket {
  const [, , host = "", , port = ""] = address.split("/");
  const opened = connect(Number(port), host);
  opened.on("error", () => undefined);
  return opened;
}

/** Many raw connections at once, each treated by `use`. */
async function sockets(attack: Attack, use: (opened: Socket) => void): Promise<void> {
  const open = new Set<Socket>();
  while (left(attack)) {
    while (open.size < 100) {
      const one = socket(attack);
      open.add(one);
      one.on("close", () => open.delete(one));
      use(one);
      attack.did("connections");
    }
    await pause(20);
  }
  for (const one of open) one.destroy();
}

async function crowd(
  attack: Attack,
  keys: () => Promise<Awaited<ReturnType<typeof newIdentity>>>,
): Promise<void> {
  const nodes: Libp2pNode[] = [];
  while (left(attack) && nodes.length < 40) {
    const node = await bareNode(await keys());
    nodes.push(node);
    try {
      await node.dial(multiaddr(attack.address), { signal: AbortSignal.timeout(2000) });
      attack.did("connections");
    } catch {
      attack.did("refused");
    }
  }
  for (const node of nodes) await node.stop();
}

const ATTACKS: Readonly<Record<string, (attack: Attack) => Promise<void>>> = {
  oversized: sending(head(0x01000001), Buffer.alloc(65_536, 0x20)),
  "invalid length": sending(head(0x7fffffff), Buffer.alloc(1024)),
  "empty frame": sending(head(0)),
  garbage: sending(Buffer.concat([head(8), Buffer.from('{"a":\xff}!', "latin1")])),
  batch: sending(Buffer.concat([head(2), Buffer.from("[]")])),
  "deep JSON": sending(
    Buffer.concat([head(60_008), Buffer.from(`{"a":${"[".repeat(30_000)}${"]".repeat(30_000)} }`)]),
  ),
  async truncated(attack) {
    while (left(attack)) {
      const open = await stream(attack);
      await send(open, frames(call(1, "test.hello")).subarray(0, 20), attack);
      await open?.close().catch(() => undefined);
      await pause(10);
    }
  },
  "request before negotiation": (attack) =>
    sockets(attack, (opened) => opened.write(frames(call(1, "test.hello")))),
  "silent sockets": (attack) => sockets(attack, () => undefined),
  "a byte a second before the handshake": (attack) =>
    sockets(attack, (opened) => {
      const timer = setInterval(() => opened.write("\x13"), 1000);
      opened.on("close", () => clearInterval(timer));
    }),
  async "forged version"(attack) {
    while (left(attack)) {
      const open = await connection(attack);
      if (!open) continue;
      try {
        await open.newStream("/mcp+p2p/9.9.9-forged", { signal: AbortSignal.timeout(3000) });
        attack.did("accepted");
      } catch {
        attack.did("refused");
      }
      await pause(5);
    }
  },
  "unknown method": (attack) => flood(attack, (turn) => frames(call(turn, "no.such.method"))),
  "no grant": (attack) => flood(attack, (turn) => frames(call(turn, "test.echo"))),
  replay: (attack) => flood(attack, () => frames(call("same", "test.hello"))),
  flood: (attack) =>
    flood(attack, (turn) =>
      frames(...Array.from({ length: 64 }, (_, i) => call(turn * 64 + i, "test.hello"))),
    ),
  "flood of bytes": (attack) => flood(attack, () => frames(call(1, "test.hello", "x".repeat(60_000)))),
  "huge ids": (attack) => flood(attack, (turn) => frames(call(`${turn}${"i".repeat(60_000)}`, "test.hello"))),
  "duplicate responses": (attack) =>
    flood(attack, () => frames({ jsonrpc: "2.0", id: "rpc:1", result: { value: "forged" } })),
  async "excessive streams"(attack) {
    const open: (Stream | undefined)[] = [];
    while (left(attack)) {
      open.push(...(await Promise.all(Array.from({ length: 32 }, () => stream(attack)))));
      await pause();
    }
  },
  "half-open streams": (attack) => storm(attack, () => undefined),
  "storm of resets": (attack) => storm(attack, (opened) => opened.abort(new Error("never mind"))),
  async "half a frame, then a byte at a time"(attack) {
    const open = await Promise.all(Array.from({ length: 8 }, () => stream(attack)));
    for (const one of open) await send(one, head(40_000), attack);
    while (left(attack)) {
      for (const one of open) await send(one, Buffer.from(" "), attack);
      await pause(200);
    }
  },
  async "silent connection"(attack) {
    await connection(attack);
    while (left(attack)) await pause(100);
  },
  async "one peer, many connections"(attack) {
    const identity = await newIdentity();
    await crowd(attack, () => Promise.resolve(identity));
  },
  "many identities": (attack) => crowd(attack, newIdentity),
  async "never reads its answers"(attack) {
    const open = await Promise.all(Array.from({ length: 16 }, () => stream(attack)));
    for (const one of open) one?.pause();
    for (let turn = 0; left(attack); turn++) {
      for (const one of open) await send(one, frames(call(turn, "test.much")), attack);
      await pause();
    }
  },
  "a known peer floods": (attack) =>
    flood(attack, (turn) =>
      frames(...Array.from({ length: 256 }, (_, i) => call(turn * 256 + i, "test.echo", "x".repeat(1000)))),
    ),
  "a known peer holds requests": (attack) => flood(attack, (turn) => frames(call(turn, "test.stuck"))),
};

function bareNode(privateKey: Awaited<ReturnType<typeof newIdentity>>): Promise<Libp2pNode> {
  return startLibp2p({ privateKey, listen: [], announce: [], limits: DEFAULT_P2P_LIMITS });
}

async function run(input: unknown): Promise<Record<string, number>> {
  const { attack: name, address, ms, key } = order.parse(input);
  const attack = ATTACKS[name];
  if (!attack) throw new Error(`no attack is called ${name}`);
  stopped = false;
  const counts = new Map<string, number>();
  // A fresh identity each time, so that one attack does not pay for the one before.
  const privateKey =
    key === undefined ? await newIdentity() : privateKeyFromProtobuf(Buffer.from(key, "base64"));
  const node = await bareNode(privateKey);
  try {
    await attack({
      address,
      node,
      untilMs: performance.now() + ms,
      did: (what, times = 1) => void counts.set(what, (counts.get(what) ?? 0) + times),
    });
  } finally {
    await node.stop();
  }
  return Object.fromEntries(counts);
}

// It shares two cores with its victim; who attacks from elsewhere does not.
setPriority(LOW_PRIORITY);
answerParent({
  run,
  stop: () => {
    stopped = true;
  },
});
