/** The far end: our host with a durable queue, a raw libp2p echo, and a TCP echo. `p2p-server.ts <database file>` */
import { once } from "node:events";
import * as z from "zod";
import { systemClock } from "../../src/clock.ts";
import { openHost } from "../../src/nursery/index.ts";
import { openSqliteStores } from "../../src/store/index.ts";
import { openLocalQueue } from "../../src/task/local.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import { answerParent } from "../shared/child.ts";
import { openBenchHost } from "./p2p-host.ts";
import { echoTo, overStream, RAW_PROTOCOL, type RawPipe, startRawNode, tcpEcho } from "./p2p-raw.ts";

const [path = ""] = process.argv.slice(2);
const { nursery } = openHost({ clock: systemClock });
const stores = await openSqliteStores({ path });
const local = openLocalQueue({ store: stores.tasks, nursery, clock: systemClock });
const host = await openBenchHost(nursery, serveTaskMethods(local));
const raw = await startRawNode();
await raw.handle(
  RAW_PROTOCOL,
  (stream) => {
    const pipe: RawPipe = overStream(
      stream,
      echoTo(() => pipe),
    );
    // A stream for each call ends with it.
    stream.addEventListener("end", () => void stream.close());
  },
  { maxInboundStreams: Infinity },
);
const tcp = tcpEcho().listen(0, "127.0.0.1");
await once(tcp, "listening");

/** Completes a task as a worker here would. @returns when it began and when it was on disk, by the machine's monotonic clock */
async function complete(taskId: string): Promise<{ readonly calledAtMs: number; readonly doneAtMs: number }> {
  const [claimed] = await local.queue.claim({ workerId: "bench" });
  if (claimed?.task.id !== taskId) throw new Error("another task than the one that is waited for");
  const calledAtMs = monotonicMs();
  await local.queue.complete(claimed.lease, { ok: true });
  return { calledAtMs, doneAtMs: monotonicMs() };
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

answerParent({
  addresses: () => ({
    ours: host.multiaddrs()[0],
    raw: String(raw.getMultiaddrs()[0]),
    tcp: z.object({ port: z.int() }).parse(tcp.address()).port,
  }),
  submit: async () => (await local.queue.submit([{ type: "bench", payload: {} }]))[0]?.taskId,
  complete: (taskId) => complete(z.string().parse(taskId)),
});
