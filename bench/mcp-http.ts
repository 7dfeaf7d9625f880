/**
 * What an MCP `tools/call` over HTTP costs the server, as ratios to a bare `node:http` JSON echo: `node bench/mcp-http.ts`.
 *
 * Each server runs in a process of its own, whose CPU time the kernel (Linux) tells; the load comes from this process over
 * kept connections, one request under way on each. The contestants take turns, so that other load meets them alike; the
 * medians count. Exit code 1: a goal is missed. `--quick` makes few, short rounds; `--json` prints JSON.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { createAuthority } from "../src/authority/authority.ts";
import { OWNER } from "../src/authority/caller.ts";
import { systemClock } from "../src/clock.ts";
import { silentLogger } from "../src/logger.ts";
import { openHost } from "../src/nursery/index.ts";
import { createMcpServer } from "../src/server/index.ts";
import { reads } from "../src/tools/annotations.ts";
import { defineTool, type ToolContext } from "../src/tools/index.ts";
import { startHttp } from "../src/transport/index.ts";
import { nextAnswer, post } from "./raw-http.ts";

/** MCP may cost this many bare echoes, at {@link GOAL_CONNECTIONS} connections. */
const CPU_GOAL = 2;
const GOAL_CONNECTIONS = 32;
/** The kernel counts CPU time in these. */
const CPU_TICK_US = 10_000;

const BARE = "bare node:http echo";
const OURS = "mcplusplus";
const OURS_SLOW = "mcplusplus, fast path off";
const SDK = "SDK createMcpHandler";
const LITE = "mcp-lite";

/** How much is measured. */
interface Effort {
  readonly rounds: number;
  readonly roundMs: number;
  readonly warmUpMs: number;
  readonly connections: readonly number[];
}

const WHOLE: Effort = { rounds: 7, roundMs: 1500, warmUpMs: 2500, connections: [1, 32, 128] };
const QUICK: Effort = { rounds: 3, roundMs: 1000, warmUpMs: 1500, connections: [32] };

/** The figures of one server at one number of connections: medians over the rounds. */
export interface McpHttpFigure {
  readonly server: string;
  readonly connections: number;
  /** {@link cpuUs} as a multiple of the bare echo's in the same round. */
  readonly timesBare: number;
  /** CPU time of the server per call, in microseconds. */
  readonly cpuUs: number;
  readonly callsPerS: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What one server does when this file runs as its process: listens, and tells the port. */
type Start = () => Promise<number>;

/** The text of every call. */
const TEXT = "a call that cannot be lost";

const startBare: Start = async () => {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const result: unknown = JSON.parse(Buffer.concat(chunks).toString());
      const text = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
      const length = Buffer.byteLength(text);
      response.writeHead(200, { "content-type": "application/json", "content-length": length });
      response.end(text);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return portOf(server.address());
};

const ourEcho = defineTool({
  name: "echo",
  description: "Answers the text it was given.",
  input: z.strictObject({ text: z.string() }),
  output: z.object({ ok: z.boolean(), text: z.string() }),
  annotations: reads("Echo"),
  grant: "observe",
  run: async ({ text }) => ({ ok: true, text }),
});

async function startOurs(fast: boolean): Promise<number> {
  const { nursery } = openHost();
  const logger = silentLogger;
  const server = createMcpServer({
    name: "bench",
    version: "1.0.0",
    tools: [ourEcho],
    context: (caller, call): ToolContext => ({ ...nowhere, caller, progress: call.progress }),
    authority: createAuthority(),
    nursery,
    logger,
  });
  const { url } = await startHttp({
    host: "127.0.0.1",
    port: 0,
    nursery,
    clock: systemClock,
    logger,
    attachModern: (transport) => server.serveModern(transport, OWNER),
    attachLegacy: (transport) => server.serveLegacySession(transport, OWNER),
    inputSchemaOf: (name) => server.inputSchemaOf(name),
    ...(fast && { plainTool: (name: string) => server.plainTool(name, OWNER) }),
  });
  return Number(new URL(url).port);
}

/** The echo asks nothing of its node. */
const absent = (): never => {
  throw new TypeError("there is no node behind this server");
};
const nowhere: ToolContext = {
  caller: OWNER,
  signal: new AbortController().signal,
  selfPeerId: "",
  p2p: { running: false, startedAtMs: 0, listenPort: 0 },
  queue: absent,
  completeUnfenced: absent,
  workflows: absent,
  cache: absent,
  peerIdOf: absent,
  status: absent,
  heartbeat: absent,
  callTool: absent,
  scheduler: absent,
  peers: absent,
  findPeers: absent,
  checkUp: absent,
  why: absent,
  epochMs: absent,
  isHeard: false,
  progress: absent,
};

const startSdk: Start = async () => {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: "bench", version: "1.0.0" });
    const inputSchema = z.object({ text: z.string() });
    const outputSchema = z.object({ ok: z.boolean(), text: z.string() });
    server.registerTool("echo", { inputSchema, outputSchema }, ({ text }) => {
      const structuredContent = { ok: true, text };
      return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
    });
    return server;
  });
  const onRequest = toNodeHandler(handler);
  const server = createServer((received, response) => {
    if (isWholeRequest(received)) void onRequest(received, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return portOf(server.address());
};

/** True of every request that a server hands out: only its type, which clients share, leaves these open. */
function isWholeRequest(
  received: IncomingMessage,
): received is IncomingMessage & { readonly method: string; readonly url: string } {
  return received.method !== undefined && received.url !== undefined;
}

/** Runs in `bench/peers`, whose packages this one does not have. */
const LITE_SOURCE: string = String.raw`
import { getRequestListener } from "@hono/node-server";
import { createServer } from "node:http";
import { McpServer, StreamableHttpTransport } from "mcp-lite";
import * as z from "zod";
const server = new McpServer({ name: "bench", version: "1.0.0", schemaAdapter: (schema) => z.toJSONSchema(schema) });
server.tool("echo", {
  inputSchema: z.object({ text: z.string() }),
  outputSchema: z.object({ ok: z.boolean(), text: z.string() }),
  handler: ({ text }) => {
    const structuredContent = { ok: true, text };
    return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
  },
});
const http = createServer(getRequestListener(new StreamableHttpTransport().bind(server)));
http.listen(0, "127.0.0.1", () => process.stdout.write(http.address().port + "\n"));
`;

const PEERS = join(import.meta.dirname, "peers");

/** The servers of this file, by name. */
const servers: Readonly<Record<string, Start>> = {
  [BARE]: startBare,
  [OURS]: () => startOurs(true),
  [OURS_SLOW]: () => startOurs(false),
  [SDK]: startSdk,
};

function portOf(address: unknown): number {
  return z.object({ port: z.number() }).parse(address).port;
}

/** A server in its own process. */
class Contestant {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lite: boolean;
  #port = 0;
  #id = 1_000_000_000;

  constructor(name: string) {
    this.name = name;
    this.#lite = name === LITE;
    const args = this.#lite
      ? ["--input-type=module", "--eval", LITE_SOURCE]
      : [import.meta.filename, `--server=${name}`];
    const cwd = this.#lite ? PEERS : process.cwd();
    this.#child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "inherit"] });
  }

  async ready(): Promise<void> {
    const { stdout } = this.#child;
    if (!stdout) throw new TypeError("no output to read the port from");
    const exited = once(this.#child, "exit").then(() => {
      throw new Error(`${this.name} ended before it listened`);
    });
    const [line]: unknown[] = await Promise.race([once(stdout, "data"), exited]);
    exited.catch(() => undefined);
    this.#port = Number(String(line));
  }

  /** Makes calls on `connections` connections for `ms`. */
  async load(connections: number, ms: number): Promise<Round> {
    // New ones for each round: a server closes those that idle while the others have their turn.
    const sockets = await Promise.all(Array.from({ length: connections }, () => this.#open()));
    const latencies: number[] = [];
    const cpuBefore = this.#cpuUs();
    const began = performance.now();
    const until = began + ms;
    await Promise.all(sockets.map((socket) => this.#callUntil(socket, until, latencies)));
    const tookMs = performance.now() - began;
    for (const socket of sockets) socket.destroy();
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
    return {
      cpuUs: (this.#cpuUs() - cpuBefore) / latencies.length,
      callsPerS: (latencies.length / tookMs) * 1000,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    };
  }

  stop(): void {
    this.#child.kill();
  }

  async #open(): Promise<Socket> {
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return socket;
  }

  async #callUntil(socket: Socket, until: number, latencies: number[]): Promise<void> {
    for (;;) {
      const began = performance.now();
      if (began >= until) return;
      socket.write(this.#lite ? liteRequest(++this.#id) : ourRequest(++this.#id));
      const answer = await nextAnswer(socket);
      if (!answer.startsWith("HTTP/1.1 200") || !answer.includes(TEXT))
        throw new Error(`${this.name} answered ${answer.slice(0, 1000)}`);
      latencies.push(performance.now() - began);
    }
  }

  /** User and system time of the process so far: fields 14 and 15 of its stat line. */
  #cpuUs(): number {
    const stat = readFileSync(`/proc/${String(this.#child.pid)}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * CPU_TICK_US;
  }
}

type Round = Pick<McpHttpFigure, "cpuUs" | "callsPerS" | "p50Ms" | "p99Ms">;

const VERSION = "2026-07-28";
const CALL = { name: "echo", arguments: { text: TEXT } };
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
};

function ourRequest(id: number): string {
  const headers = `mcp-protocol-version: ${VERSION}\r\nmcp-method: tools/call\r\nmcp-name: echo\r\n`;
  return post(headers, { jsonrpc: "2.0", id, method: "tools/call", params: { ...CALL, _meta: META } });
}

/** The newest revision that the peer knows. */
function liteRequest(id: number): string {
  const headers = "mcp-protocol-version: 2025-06-18\r\n";
  return post(headers, { jsonrpc: "2.0", id, method: "tools/call", params: CALL });
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** Measures all servers in turns. */
export async function benchMcpHttp(effort: Effort = WHOLE): Promise<readonly McpHttpFigure[]> {
  const names = [...Object.keys(servers), ...(existsSync(join(PEERS, "node_modules", LITE)) ? [LITE] : [])];
  const contestants = names.map((name) => new Contestant(name));
  try {
    for (const contestant of contestants) await contestant.ready();
    const figures: McpHttpFigure[] = [];
    for (const connections of effort.connections)
      figures.push(...(await compare(contestants, connections, effort)));
    return figures;
  } finally {
    for (const contestant of contestants) contestant.stop();
  }
}

async function compare(
  contestants: readonly Contestant[],
  connections: number,
  { rounds, roundMs, warmUpMs }: Effort,
): Promise<readonly McpHttpFigure[]> {
  for (const contestant of contestants) await contestant.load(connections, warmUpMs);
  const measured = contestants.map((): Round[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, contestant] of contestants.entries())
      measured[i]?.push(await contestant.load(connections, roundMs));
  }
  const bare = measured[0] ?? [];
  return contestants.map(({ name: server }, i) => {
    const of = (figure: keyof Round): number => medianOf((measured[i] ?? []).map((round) => round[figure]));
    const ratios = (measured[i] ?? []).map(({ cpuUs }, round) => cpuUs / (bare[round]?.cpuUs ?? Number.NaN));
    return {
      server,
      connections,
      timesBare: medianOf(ratios),
      cpuUs: of("cpuUs"),
      callsPerS: of("callsPerS"),
      p50Ms: of("p50Ms"),
      p99Ms: of("p99Ms"),
    };
  });
}

/** What of the goals is missed, in words; empty if nothing is. */
export function missedMcpHttpGoals(figures: readonly McpHttpFigure[]): readonly string[] {
  const atGoal = figures.filter(({ connections }) => connections === GOAL_CONNECTIONS);
  const ours = atGoal.find(({ server }) => server === OURS);
  if (!ours) return [`nothing was measured at ${GOAL_CONNECTIONS} connections`];
  const dear = !(ours.timesBare <= CPU_GOAL);
  const faster = atGoal.filter(
    ({ server, timesBare }) => server !== BARE && server !== OURS && !(timesBare > ours.timesBare),
  );
  return [
    ...(dear ? [`a call costs ${ours.timesBare.toFixed(2)} bare echoes, more than ${CPU_GOAL}`] : []),
    ...faster.map(({ server }) => `${server} costs less than ${OURS}`),
  ];
}

function print(figures: readonly McpHttpFigure[]): void {
  console.log("  x bare   CPU us   calls/s   p50 ms   p99 ms  connections  server");
  for (const { timesBare, cpuUs, callsPerS, p50Ms, p99Ms, connections, server } of figures) {
    const cells = [
      timesBare.toFixed(2).padStart(8),
      cpuUs.toFixed(0).padStart(8),
      callsPerS.toFixed(0).padStart(9),
      p50Ms.toFixed(2).padStart(8),
      p99Ms.toFixed(2).padStart(8),
      String(connections).padStart(12),
    ];
    console.log(`${cells.join(" ")}  ${server}`);
  }
}

async function main(): Promise<void> {
  const name = process.argv.find((arg) => arg.startsWith("--server="))?.slice("--server=".length);
  if (name !== undefined) {
    const port = await servers[name]?.();
    process.stdout.write(`${String(port)}\n`);
    return;
  }
  const figures = await benchMcpHttp(process.argv.includes("--quick") ? QUICK : WHOLE);
  if (process.argv.includes("--json")) console.log(JSON.stringify(figures, undefined, 2));
  else print(figures);
  const missed = missedMcpHttpGoals(figures);
  for (const line of missed) console.log(`missed: ${line}`);
  if (missed.length > 0) process.exitCode = 1;
}

if (import.meta.main) await main();
