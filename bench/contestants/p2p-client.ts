/** The near end: makes calls of each kind to the far one. */
import { once } from "node:events";
import { connect } from "node:net";
import { multiaddr } from "@multiformats/multiaddr";
import * as z from "zod";
import { systemClock } from "../../src/clock.ts";
import type { JsonObject } from "../../src/content/json.ts";
import { openHost } from "../../src/nursery/index.ts";
import { remoteQueue } from "../../src/task/remote.ts";
import { answerParent } from "../shared/child.ts";
import { loadSchema, runLanes } from "../shared/sample.ts";
import { BODY, echo, openBenchHost } from "./p2p-host.ts";
import { overSocket, overStream, RAW_PROTOCOL, type RawPipe, startRawNode } from "./p2p-raw.ts";

const addresses = z.object({ ours: z.string(), raw: z.string(), tcp: z.int() });
const measurement = z.object({ kind: z.enum(["ours", "raw", "tcp", "stream"]), load: loadSchema });

type Kind = z.infer<typeof measurement>["kind"];
/** Makes one call. */
type Call = () => Promise<unknown>;

const { nursery } = openHost({ clock: systemClock });
const host = await openBenchHost(nursery);
const raw = await startRawNode();
const calls = new Map<Kind, Call>();
let awaited: ((taskId: string) => Promise<unknown>) | undefined;
let told: Promise<number> | undefined;

/** Answers find their calls by id. */
function rawCalls(open: (onMessage: (message: JsonObject) => void) => RawPipe): Call {
  const waiting = new Map<unknown, (result: unknown) => void>();
  let lastId = 0;
  const pipe = open(({ id, result }) => {
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  return () =>
    new Promise((resolve) => {
      const id = ++lastId;
      waiting.set(id, resolve);
      pipe.send({ jsonrpc: "2.0", id, method: "mcp++/bench.echo", params: BODY });
    });
}

/** What the old system does: one stream for each call. */
async function streamCall(address: ReturnType<typeof multiaddr>): Promise<void> {
  const stream = await raw.dialProtocol(address, RAW_PROTOCOL, { maxOutboundStreams: Infinity });
  const answered = Promise.withResolvers<JsonObject>();
  overStream(stream, answered.resolve).send({ jsonrpc: "2.0", id: 1, method: "bench", params: BODY });
  await answered.promise;
  await stream.close();
}

async function connectAll(to: z.infer<typeof addresses>): Promise<void> {
  const peerId = await host.resolve({ multiaddr: to.ours });
  calls.set("ours", () => host.rpc.call({ peerId }, echo, BODY));
  const queue = remoteQueue(host.rpc, { peerId });
  awaited = (taskId) => queue.wait(taskId, 30_000);
  const address = multiaddr(to.raw);
  const stream = await raw.dialProtocol(address, RAW_PROTOCOL);
  calls.set(
    "raw",
    rawCalls((onMessage) => overStream(stream, onMessage)),
  );
  calls.set("stream", () => streamCall(address));
  const socket = connect(to.tcp, "127.0.0.1");
  await once(socket, "connect");
  calls.set(
    "tcp",
    rawCalls((onMessage) => overSocket(socket, onMessage)),
  );
}

function measure({ kind, load }: z.infer<typeof measurement>): Promise<unknown> {
  const call = calls.get(kind);
  if (!call) throw new Error("open first");
  return runLanes(load, call);
}

/** Begins to wait for a task; resolves once the far end has the wait, as a call after it on the same stream has come back. */
async function wait(taskId: string): Promise<void> {
  if (!awaited) throw new Error("open first");
  told = awaited(taskId).then(() => Number(process.hrtime.bigint()) / 1e6);
  await calls.get("ours")?.();
}

answerParent({
  open: (to) => connectAll(addresses.parse(to)),
  measure: (input) => measure(measurement.parse(input)),
  wait: (taskId) => wait(z.string().parse(taskId)),
  told: () => told,
});
