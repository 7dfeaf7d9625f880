/** Second step of opening a node: mounted servers, the MCP server over everything, and the ways to it. */
import type { Transport } from "@modelcontextprotocol/client";
import { callerName, OWNER, type PeerCaller } from "../authority/caller.ts";
import { type Mounts, openMounts } from "../client/index.ts";
import { childEnvironment } from "../config.ts";
import type { JsonObject } from "../content/json.ts";
import { ShuttingDownError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { abandonOnCancel, type Nursery } from "../nursery/index.ts";
import { createMcpServer, type McpServer } from "../server/index.ts";
import { offeredResources, offeredTools } from "../tools/index.ts";
import {
  type HttpServer,
  memoryPair,
  openChildRegistry,
  reapOrphans,
  startHttp,
  stdioTransport,
  transportTo,
} from "../transport/index.ts";
import { VERSION } from "../version.ts";
import { ownEntryOf } from "../workflow/clock-guard.ts";
import type { Foundation } from "./foundation.ts";
import { createDoctor } from "./doctor.ts";
import { type FirstProcess, openFirstProcess } from "./processes/first.ts";
import { handedTo, isFirst } from "./processes/share.ts";
import type { Introduction, Serving } from "./rooms.ts";
import { briefStatus, capabilitiesOf, detailedStatus } from "./status.ts";
import { callOwnTool, type NodeRooms, toolContext } from "./tool-context.ts";

/** Longer than a connection without a request lasts. */
const MIN_HTTP_DRAIN_MS = 7000;

/** Reaps in the background what an earlier run left behind, mounts the configured servers, and builds the MCP server. */
export async function openServing(foundation: Foundation): Promise<Serving> {
  const first = firstProcess(foundation);
  const mounts = first?.mounts ?? (await openConfiguredMounts(foundation));
  const { nursery, logger, authority, config, closers } = foundation;
  let introduced: Introduction | undefined;
  const require = (): Introduction => {
    if (introduced === undefined) throw new ShuttingDownError("the node is still starting");
    return introduced;
  };
  const server: McpServer = createMcpServer({
    name: config.name,
    version: VERSION,
    tools: first ? offeredTools(config).map((tool) => first.throughFirst(tool)) : offeredTools(config),
    resources: offeredResources(config),
    upstreams: mounts,
    context: (caller, call) => toolContext(rooms(), caller, call),
    authority,
    nursery,
    logger: logger.child({ room: "server" }),
  });
  closers.add("the MCP server", () => server.close());
  const parts: Parts = { foundation, mounts, server, introduction: require };
  const rooms = (): NodeRooms => roomsOf(parts);
  return {
    introduce: (introduction) => {
      introduced = introduction;
    },
    ...waysIn(parts),
    callToolForTask: (name, args, options) =>
      server.callTool(name, args, { caller: taskCaller(parts), untilAborted: true, ...options }),
    isRepeatable: (name) => isRepeatable(server, name),
    callToolForPeer: (name, args, caller, signal) => callOwnTool(rooms(), name, args, caller, signal),
    toolNames: () => toolNames(server),
    onToolsChanged: (listener) => mounts.onChanged(listener),
    status: (detail) => statusOf(parts, detail),
    capabilities: () => introduced && capabilitiesOf(introduced.work),
    heartbeat: (peerId, heardClock, from) => heartbeat(foundation, peerId, heardClock, from),
  };
}

interface Parts {
  readonly foundation: Foundation;
  readonly mounts: FirstProcess["mounts"];
  readonly server: McpServer;
  readonly introduction: () => Introduction;
}

/** Undefined if this process is the first of the node, or the only one. */
function firstProcess(foundation: Foundation): FirstProcess | undefined {
  const { share, closers } = foundation;
  if (share === undefined || isFirst(share)) return undefined;
  const first = openFirstProcess(foundation, share);
  closers.add("the way to the first process", async () => {
    await first.mounts.close();
    await first.close();
  });
  return first;
}

async function openConfiguredMounts({
  config,
  nursery,
  clock,
  logger,
  closers,
  folder,
}: Foundation): Promise<Mounts> {
  const registry = await openChildRegistry(folder.mounts);
  const reaped = reapInBackground(nursery, folder.mounts, logger);
  const mounts = openMounts({
    mounts: config.mounts,
    openTransport: async (mount) => {
      // What the last run left of it may hold its port or its lock.
      await abandonOnCancel(reaped);
      return transportTo(mount.target, {
        nursery,
        clock,
        logger: logger.child({ mount: mount.name }),
        registry,
        owner: mount.name,
        env: childEnvironment(),
      });
    },
    nursery,
    clock,
    logger: logger.child({ room: "mounts" }),
  });
  closers.add("the mounted servers", () => mounts.close());
  return mounts;
}

/** Ends what an earlier run left behind. @returns settles, never rejects, when that is done or given up */
function reapInBackground(nursery: Nursery, folder: string, logger: Logger): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  nursery.startSoon(async () => {
    try {
      for (const orphan of await reapOrphans(folder))
        logger.warn({ orphan }, "ended what an earlier run left behind");
    } finally {
      resolve();
    }
  }, "reap orphans");
  return promise;
}

function waysIn({
  foundation,
  server,
}: Parts): Pick<Serving, "listen" | "drain" | "connect" | "serveStdio" | "serveStream"> {
  const { config, nursery, clock, logger, closers, share } = foundation;
  let http: HttpServer | undefined;
  return {
    async listen() {
      if (!config.http) return undefined;
      const listening = await startHttp({
        host: config.host,
        port: config.port,
        path: config.mountPath,
        corsOrigins: config.corsOrigins,
        nursery,
        clock,
        logger: logger.child({ room: "http" }),
        attachModern: (transport) => server.serveModern(transport, OWNER),
        attachLegacy: (transport) => server.serveLegacySession(transport, OWNER),
        inputSchemaOf: (name) => server.inputSchemaOf(name),
        plainTool: (name) => server.plainTool(name, OWNER),
        handed: handedTo(share),
      });
      http = listening;
      closers.add("HTTP", () => listening.close());
      return listening.url;
    },
    drain: async () => (await http?.drain(Math.max(config.drainMs, MIN_HTTP_DRAIN_MS))) ?? [],
    async connect() {
      const [near, far] = memoryPair();
      await server.serveStream(far, OWNER);
      return near;
    },
    async serveStdio() {
      const transport = stdioTransport({ stdin: process.stdin, stdout: process.stdout, clock });
      await serveUntilClosed(server, transport);
    },
    serveStream(transport, caller) {
      nursery.startSoon(() => server.serveStream(transport, caller), "serve stream");
    },
  };
}

function toolNames(server: McpServer): string[] {
  return server.listTools(OWNER).tools.map((tool) => tool.name);
}

function isRepeatable(server: McpServer, name: string): boolean {
  const hints = server.listTools(OWNER).tools.find((tool) => tool.name === name)?.annotations;
  return hints?.readOnlyHint === true || hints?.idempotentHint === true;
}

/** Serves the owner over `transport` until its other side ends. */
async function serveUntilClosed(server: McpServer, transport: Transport): Promise<void> {
  const closed = Promise.withResolvers<void>();
  await server.serveStream(transport, OWNER);
  const { onclose } = transport;
  transport.onclose = () => {
    onclose?.();
    closed.resolve();
  };
  await closed.promise;
}

/** Tasks come from everybody who may submit, so their tool calls never get the owner's rights. */
function taskCaller({ introduction }: Parts): PeerCaller {
  return { kind: "peer", peerId: introduction().network.peerId, sameMachine: true, provedToken: false };
}

function roomsOf(parts: Parts): NodeRooms {
  const { foundation, server, introduction } = parts;
  const { network } = introduction();
  return {
    selfPeerId: network.peerId,
    startedAtMs: foundation.startedAtMs,
    epochMs: () => foundation.clock.epochMs(),
    queue: foundation.queue,
    workflows: foundation.workflows,
    cache: foundation.cache,
    table: foundation.table,
    p2p: network.host,
    server,
    status: (detail) => statusOf(parts, detail),
    heartbeat: (peerId, clock, from) => heartbeat(foundation, peerId, clock, callerName(from)),
    scheduler: foundation.scheduling.scheduler,
    doctor: createDoctor(foundation, network),
  };
}

async function statusOf(
  { foundation, mounts, server, introduction }: Parts,
  detail: boolean,
): Promise<JsonObject> {
  const { network, work } = introduction();
  const { config, clock, queue, presence, startedAtMs, instance } = foundation;
  const brief = {
    peerId: network.peerId,
    name: config.name,
    version: VERSION,
    work,
  };
  // What tells two processes with one key, and a clock that is off.
  const nowMs = clock.epochMs();
  const who = { instance, at_ms: nowMs };
  if (!detail) return { ...briefStatus(brief), ...who };
  const detailed = detailedStatus({
    ...brief,
    startedAtMs,
    nowMs,
    multiaddrs: network.multiaddrs(),
    tools: toolNames(server),
    mounts: mounts.status(),
    presence,
    stats: await queue.queue.stats(),
    processes: config.processes,
  });
  return { ...detailed, ...who };
}

function heartbeat(
  { presence }: Foundation,
  peerId: string,
  clock: JsonObject | undefined,
  from: string,
): JsonObject {
  presence.heard({ peerId, transportPeerId: from, clock: clock && ownEntryOf(clock, peerId) });
  return { ok: true, peer: peerId, scheduler: presence.summary() };
}
