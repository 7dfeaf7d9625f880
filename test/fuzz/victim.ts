/**
 * The process that is fuzzed: a node's queue, tools and server behind every face, and a watch on its event loop.
 *
 * It says where it listens, and answers `rest` by putting its queue in order and reporting on itself.
 */
import { createServer } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createAuthority } from "../../src/authority/authority.ts";
import { OWNER } from "../../src/authority/caller.ts";
import { openLocalCache } from "../../src/cache/local.ts";
import { systemClock } from "../../src/clock.ts";
import { silentLogger } from "../../src/logger.ts";
import { newIdentity, openP2pHost } from "../../src/p2p/index.ts";
import { createPeerTable } from "../../src/peer/table.ts";
import { openMemoryStores } from "../../src/store/index.ts";
import { serveTaskMethods } from "../../src/task/methods.ts";
import { createPresence } from "../../src/workflow/presence.ts";
import { p2pTransport, startHttp, stdioTransport } from "../../src/transport/index.ts";
import { openSmallNode } from "../server/support.ts";
import type { Report } from "./run.ts";

/** How often the watch looks at the clocks. */
const TICK_MS = 5;
/** As many as V8 itself makes when memory is short. */
const GC_PASSES = 7;

const stores = openMemoryStores();
const node = await openSmallNode({ stores });
const { nursery, server } = node;
const common = { nursery, clock: systemClock, logger: silentLogger };

const http = await startHttp({
  ...common,
  host: "127.0.0.1",
  port: 0,
  attachModern: (transport) => server.serveModern(transport, OWNER),
  attachLegacy: (transport) => server.serveLegacySession(transport, OWNER),
  inputSchemaOf: (name) => server.inputSchemaOf(name),
});

const authority = createAuthority();
const presence = createPresence(systemClock);
const host = await openP2pHost({
  ...common,
  privateKey: await newIdentity(),
  authority,
  oldWire: {
    authority,
    presence,
    queue: node.local,
    cache: openLocalCache({ store: stores.cache, clock: systemClock }),
    status: async (detail) => ({ ok: true, ...(detail && { scheduler: presence.scheduler() }) }),
    async callTool(tool, args, caller, signal) {
      const { isError, structuredContent } = await server.callTool(tool, args, { caller, signal });
      return { ok: isError !== true, tool, result: structuredContent ?? null };
    },
  },
  table: createPeerTable({ clock: systemClock }),
  methods: serveTaskMethods(node.local),
  onMcp: (channel, caller) =>
    nursery.startSoon(() => server.serveStream(p2pTransport(channel), caller), "serve peer"),
  // Who floods or sends garbage is kept out, after which nothing more would be tried.
  limits: {
    streamBurst: Infinity,
    muxedStreamBurst: Infinity,
    strangerMuxedBurst: Infinity,
    maxStrikes: Infinity,
  },
});

const lines = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  const transport = stdioTransport({ stdin: socket, stdout: socket });
  nursery.startSoon(async () => {
    await server.serveStream(transport, OWNER);
    socket.on("end", () => socket.end());
  }, "serve lines");
});
await new Promise<void>((resolve) => lines.listen(0, "127.0.0.1", resolve));

const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
let stallMs = 0;
let wall = performance.now();
let cpu = process.threadCpuUsage();

// A machine that others use stops this process too; only what this thread computed itself is its own hang.
setInterval(() => {
  const [now, used] = [performance.now(), process.threadCpuUsage()];
  const busyMs = (used.user + used.system - cpu.user - cpu.system) / 1000;
  stallMs = Math.max(stallMs, Math.min(now - wall, busyMs));
  [wall, cpu] = [now, used];
}, TICK_MS);

async function emptyQueue(): Promise<number> {
  const { tasks } = stores;
  let found = 0;
  for (const state of ["queued", "running"] as const) {
    for (;;) {
      const page = await tasks.list({ state, limit: 500 });
      found += page.tasks.length;
      if (page.tasks.length === 0) break;
      for (const { id } of page.tasks) await tasks.cancel(id, "", systemClock.epochMs());
    }
  }
  await tasks.prune(Number.MAX_SAFE_INTEGER, 1e6);
  return found;
}

async function report(): Promise<Report> {
  const seen = { stallMs, delayMs: delays.max / 1e6 };
  const tasks = await emptyQueue();
  // What a finalizer holds is only free after it ran, and that may free the next.
  for (let pass = 0; pass < GC_PASSES; pass++) {
    global.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed } = process.memoryUsage();
  delays.reset();
  [wall, cpu, stallMs] = [performance.now(), process.threadCpuUsage(), 0];
  return { ...seen, rssBytes: rss, heapBytes: heapUsed, tasks };
}

process.on("message", () => {
  void report().then((seen) => process.send?.(seen));
});
process.on("disconnect", () => process.exit());

const address = lines.address();
const port = typeof address === "object" && address !== null ? address.port : 0;
process.send?.({ http: http.url, p2p: host.multiaddrs()[0] ?? "", linesPort: port });
