import * as z from "zod";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { errorFacts, UnreachableError } from "../../errors.ts";
import { Limiter, rethrowIfCancelled } from "../../nursery/index.ts";
import { isAlive, type Peer } from "../../peer/peer.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool, type ToolContext } from "../tool.ts";

/** How many peers are asked at once what they can do. */
const MAX_QUERIES = 16;
/** What the call takes besides its searches. */
const SLACK_MS = 5000;
/** A list of more peers than this is of use to nobody. */
const MAX_PEERS = 1000;
/** Discovery needs at least this, or it finds nothing. */
const MIN_DISCOVERY_S = 0.1;

const rowSchema = z.looseObject({
  peer_id: z.string(),
  multiaddrs: z.array(z.string()).describe("Known addresses, best first"),
  multiaddr: z.string().optional().describe("The best address"),
  method: z.string().describe("How it was found first"),
  methods: z.array(z.string()).describe("All that found it"),
  connected: z.boolean(),
  last_seen: z.number().optional().describe("When it was last heard from, in seconds since 1970"),
  age_s: z.number().optional().describe("How long ago that was"),
  alive: z.boolean().optional().describe("Whether it answers"),
  discovered: z.literal(true).optional().describe("Found just now, never heard from"),
  path: z.string().optional().describe("direct or relayed"),
  rtt_ms: z.number().optional(),
  capabilities: z
    .unknown()
    .optional()
    .describe("What it can do: as it told last, or as it says now if it was asked"),
  capabilities_error: z.string().optional(),
});
type Row = z.infer<typeof rowSchema>;

const inputSchema = z.strictObject({
  include_capabilities: z.boolean().default(false).describe("Also ask each peer what it can do"),
  capabilities_timeout_s: z
    .number()
    .min(0)
    .max(60)
    .default(5)
    .describe("How long each peer may take to answer"),
  capabilities_detail: z.boolean().default(false).describe("Ask each peer for details"),
  discover: z.boolean().default(true).describe("Look for peers if none is known"),
  discovery_timeout_s: z
    .number()
    .max(60)
    .default(1.5)
    .describe(`How long to look, in seconds; at least ${MIN_DISCOVERY_S}`),
  discovery_methods: z.array(z.string()).nullish().describe("Discovery mechanisms to use; null: all"),
  limit: z.int().min(0).max(MAX_PEERS).default(50).describe("At most so many peers"),
});
type Input = z.infer<typeof inputSchema>;

const discoveryMs = (input: Input): number => Math.max(input.discovery_timeout_s, MIN_DISCOVERY_S) * 1000;

/** Shows the peers this node knows. */
export const listPeers: Tool = defineTool({
  name: "list_peers",
  description:
    "List the peers that this node has heard from, newest first; if there are none, look for some. Use a peer_id from here as the target of other tools.",
  input: inputSchema,
  output: z.object({
    ok: z.literal(true),
    self_peer_id: z.string(),
    listen_port: z.int(),
    started_at: z.number().describe("Since when this node serves peers, in seconds since 1970"),
    count: z.int(),
    peers: z.array(rowSchema),
  }),
  annotations: { ...reads("List peers"), openWorldHint: true },
  grant: "observe",
  deadlineMs: (input) => discoveryMs(input) + input.capabilities_timeout_s * 1000 + SLACK_MS,

  async run(input, context) {
    const { p2p, selfPeerId } = context;
    if (!p2p.running)
      throw new UnreachableError("p2p_service_not_running", { hint: "start this node with P2P on" });
    const known = context.peers().filter(({ peerId }) => peerId !== selfPeerId);
    const found = known.length === 0 && input.discover ? await look(input, context) : known;
    const rows = found.slice(0, input.limit).map((peer) => rowOf(peer, context.epochMs()));
    const peers = input.include_capabilities ? await withAllCapabilities(rows, input, context) : rows;
    return {
      ok: true,
      self_peer_id: selfPeerId,
      listen_port: p2p.listenPort,
      started_at: p2p.startedAtMs / 1000,
      count: peers.length,
      peers,
    };
  },
});

async function look(input: Input, context: ToolContext): Promise<readonly Peer[]> {
  const search = {
    methods: input.discovery_methods ?? undefined,
    timeoutMs: discoveryMs(input),
    limit: input.limit,
  };
  const found = await context.findPeers(search);
  return found.filter(({ peerId }) => peerId !== context.selfPeerId);
}

function rowOf(peer: Peer, nowMs: number): Row {
  const [multiaddr] = peer.multiaddrs;
  const ageMs = peer.lastSeenMs === undefined ? undefined : Math.max(nowMs - peer.lastSeenMs, 0);
  return {
    peer_id: peer.peerId,
    multiaddrs: [...peer.multiaddrs],
    ...(multiaddr !== undefined && { multiaddr }),
    method: peer.method,
    methods: [...peer.methods],
    connected: peer.connected,
    ...(peer.lastSeenMs !== undefined && { last_seen: peer.lastSeenMs / 1000 }),
    ...(ageMs === undefined
      ? { discovered: true as const }
      : { age_s: ageMs / 1000, alive: isAlive(peer, nowMs) }),
    ...(peer.path !== undefined && { path: peer.path }),
    ...(peer.rttMs !== undefined && { rtt_ms: peer.rttMs }),
    ...(peer.capabilities !== undefined && { capabilities: peer.capabilities }),
  };
}

function withAllCapabilities(rows: readonly Row[], input: Input, context: ToolContext): Promise<Row[]> {
  const limiter = new Limiter(MAX_QUERIES);
  return Promise.all(rows.map((row) => limiter.run(() => withCapabilities(row, input, context))));
}

/** The row with what the peer says it can do, or with why it did not say. */
async function withCapabilities(row: Row, input: Input, context: ToolContext): Promise<Row> {
  try {
    const answer = await context.status({ peerId: row.peer_id }, input.capabilities_detail, {
      timeoutMs: input.capabilities_timeout_s * 1000,
      onlyFound: true,
    });
    // Old peers say what they can do in one place; a node tells more in its heartbeats, and in detail.
    const told: JsonObject = {
      ...Object(row.capabilities),
      ...Object(answer["capabilities"]),
      ...Object(answer["worker"]),
    };
    return { ...row, capabilities: isJsonObject(answer["capabilities"]) ? told : null };
  } catch (error) {
    rethrowIfCancelled(error);
    return { ...row, capabilities_error: errorFacts(error).message };
  }
}
