/**
 * Calls to a peer over the kept stream, against a raw libp2p echo on a kept stream, in two processes.
 *
 *     node bench/p2p-call.ts [seconds per measurement, default 2] [rounds, default 3]
 *
 * The raw echo uses the same libp2p node, the same frames and one write per turn, and parses and writes the same JSON;
 * it has no ids to check, no schema, no authority, no scope and no deadline. Measurements are interleaved, the best
 * round of each counts. Goals: p50 of one after the other at most 1.3 times the raw one; 64 in flight at least 0.5 of it.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import * as z from "zod";
import { createAuthority } from "../src/authority/authority.ts";
import { systemClock } from "../src/clock.ts";
import type { JsonObject } from "../src/content/json.ts";
import { silentLogger } from "../src/logger.ts";
import { openNursery, waitForSignal } from "../src/nursery/index.ts";
import { encodeFrames, FrameDecoder } from "../src/p2p/frame.ts";
import { newIdentity, openP2pHost, type P2pHost } from "../src/p2p/index.ts";
import { startLibp2p } from "../src/p2p/libp2p.ts";
import { DEFAULT_P2P_LIMITS } from "../src/p2p/limits.ts";
import type { Method, ServedMethod } from "../src/peer/rpc.ts";
import { createPeerTable } from "../src/peer/table.ts";

type Body = { readonly text: string };

const RAW_PROTOCOL = "/bench/echo/1.0.0";
const IN_FLIGHT = 64;
/** With the envelope the request has about 200 bytes. */
const BODY: Body = { text: "x".repeat(130) };

const method: Method<Body, Body> = {
  name: "bench.echo",
  grant: "submit",
  input: z.object({ text: z.string() }),
  output: z.object({ text: z.string() }),
  idempotent: true,
};

const servedEcho: ServedMethod = {
  name: method.name,
  parse(input) {
    const body = method.input.parse(input);
    return { grant: "submit", run: () => Promise.resolve(body) };
  },
};

/** Sends messages as frames, one write per turn; the least that a coalescing echo must do. */
class RawPipe {
  readonly #stream: Stream;
  #queue: { readonly text: string; readonly bytes: number }[] = [];

  constructor(stream: Stream, onMessage: (message: JsonObject) => void) {
    this.#stream = stream;
    const decoder = new FrameDecoder(() => DEFAULT_P2P_LIMITS.maxFrameBytes, onMessage);
    stream.addEventListener("message", ({ data }) => {
      if (data instanceof Uint8Array) decoder.push(data);
      else for (const chunk of data) decoder.push(chunk);
    });
  }

  send(message: object): void {
    const text = JSON.stringify(message);
    if (this.#queue.push({ text, bytes: Buffer.byteLength(text) }) === 1) process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    const queue = this.#queue;
    this.#queue = [];
    this.#stream.send(encodeFrames(queue));
  };
}

/** Makes one call. */
type Call = () => Promise<unknown>;

interface Figures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function measure(call: Call, lanes: number, seconds: number): Promise<Figures> {
  const times: number[] = [];
  const start = performance.now();
  const until = start + seconds * 1000;
  const lane = async (): Promise<void> => {
    for (let before = performance.now(); before < until;) {
      await call();
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const perSecond = (times.length * 1000) / (performance.now() - start);
  times.sort((a, b) => a - b);
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? NaN;
  return { perSecond, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function openHost(nursery: Parameters<typeof openP2pHost>[0]["nursery"]): Promise<P2pHost> {
  return openP2pHost({
    privateKey: await newIdentity(),
    nursery,
    clock: systemClock,
    logger: silentLogger,
    authority: createAuthority(),
    methods: [servedEcho],
    table: createPeerTable({ clock: systemClock }),
  });
}

async function startRaw(): ReturnType<typeof startLibp2p> {
  const listen = ["/ip4/127.0.0.1/tcp/0"];
  return startLibp2p({ privateKey: await newIdentity(), listen, announce: [], limits: DEFAULT_P2P_LIMITS });
}

async function serve(): Promise<void> {
  await openNursery(async (nursery) => {
    const host = await openHost(nursery);
    const raw = await startRaw();
    await raw.handle(RAW_PROTOCOL, (stream) => {
      const pipe = new RawPipe(stream, ({ id, params }) => pipe.send({ jsonrpc: "2.0", id, result: params }));
    });
    process.send?.({ host: host.multiaddrs()[0], raw: String(raw.getMultiaddrs()[0]) });
    await waitForSignal("SIGTERM");
    await raw.stop();
    await host.close();
  });
}

async function rawCall(
  address: string,
): Promise<{ readonly call: Call; readonly stop: () => Promise<void> }> {
  const node = await startRaw();
  const waiting = new Map<unknown, (result: unknown) => void>();
  const pipe = new RawPipe(await node.dialProtocol(multiaddr(address), RAW_PROTOCOL), ({ id, result }) => {
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let lastId = 0;
  const call = (): Promise<unknown> =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      pipe.send({ jsonrpc: "2.0", id, method: "mcp++/bench.echo", params: BODY });
    });
  return { call, stop: async () => node.stop() };
}

const addresses = z.object({ host: z.string(), raw: z.string() });

function show(name: string, { perSecond, p50Ms, p99Ms }: Figures): void {
  console.log(
    `${name.padEnd(26)} ${perSecond.toFixed(0).padStart(7)}/s   p50 ${p50Ms.toFixed(3)} ms   p99 ${p99Ms.toFixed(3)} ms`,
  );
}

function keepBest(best: Map<string, Figures>, key: string, figures: Figures): void {
  if (figures.perSecond > (best.get(key)?.perSecond ?? 0)) best.set(key, figures);
}

async function main(seconds: number, rounds: number): Promise<void> {
  const server = fork(import.meta.filename, ["serve"]);
  const [message] = await once(server, "message");
  const { host: hostAddress, raw: rawAddress } = addresses.parse(message);
  const raw = await rawCall(rawAddress);
  await openNursery(async (nursery) => {
    const host = await openHost(nursery);
    const peerId = await host.resolve({ multiaddr: hostAddress });
    const ours: Call = () => host.rpc.call({ peerId }, method, BODY);
    const best = new Map<string, Figures>();
    const runs = [1, IN_FLIGHT].flatMap((lanes) => [
      { key: `raw ${lanes}`, lanes, call: raw.call },
      { key: `call ${lanes}`, lanes, call: ours },
    ]);
    // Round 0 warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const { key, lanes, call } of runs) {
        const figures = await measure(call, lanes, seconds);
        if (round > 0) keepBest(best, key, figures);
      }
    }
    for (const [name, figures] of best) show(`${name} in flight`, figures);
    const of = (key: string): Figures => best.get(key) ?? { perSecond: NaN, p50Ms: NaN, p99Ms: NaN };
    const sequential = of("call 1").p50Ms / of("raw 1").p50Ms;
    const parallel = of(`call ${IN_FLIGHT}`).perSecond / of(`raw ${IN_FLIGHT}`).perSecond;
    console.log(`one after the other: p50 ${sequential.toFixed(2)} × raw (goal ≤ 1.3)`);
    console.log(`${IN_FLIGHT} in flight: ${parallel.toFixed(2)} × raw (goal ≥ 0.5)`);
    await host.close();
  });
  await raw.stop();
  server.kill("SIGTERM");
}

if (process.argv[2] === "serve") await serve();
else await main(Number(process.argv[2] ?? 2), Number(process.argv[3] ?? 3));
