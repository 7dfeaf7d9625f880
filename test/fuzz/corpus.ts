/** Good messages, from which the bad ones are made. Submits carry a key, so that the queue does not grow without end. */

const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "fuzz", version: "1" },
};

const lease = { taskId: "t", token: 1 };
const RPC: readonly (readonly [string, object])[] = [
  [
    "task.submit",
    { tasks: [{ type: "echo", payload: { n: 1 }, idempotencyKey: "k", priority: 5, delayMs: 0 }] },
  ],
  ["task.claim", { workerId: "w", types: ["echo"], limit: 2, waitMs: 1, leaseMs: 1000, skills: [] }],
  ["task.renew", { lease, leaseMs: 1000 }],
  ["task.note", { lease, note: { progress: { a: 1 }, logs: [{ atMs: 1, stream: "out", message: "m" }] } }],
  ["task.complete", { lease, result: { ok: true } }],
  [
    "task.fail",
    { lease, failure: { error: { code: "E", message: "m", failureClass: "internal" }, retry: true } },
  ],
  ["task.release", { lease, reason: "r" }],
  ["task.cancel", { taskId: "t", reason: "r" }],
  ["task.get", { taskId: "t" }],
  ["task.list", { state: "queued", types: ["echo"], limit: 5 }],
  ["task.wait", { taskId: "t", timeoutMs: 1 }],
  ["task.lost", { lease, waitMs: 1 }],
  ["task.follow", { taskId: "t", point: { lines: 1, changedAtMs: 2 }, waitMs: 1 }],
  ["task.stats", {}],
];

const TOOLS: readonly (readonly [string, object])[] = [
  ["p2p_taskqueue_submit", { task_type: "echo", model_name: "", payload: { n: 1 }, idempotency_key: "k" }],
  ["p2p_taskqueue_claim_next", { worker_id: "w", supported_task_types: ["echo"], lease_s: 1, wait_s: 0 }],
  ["p2p_taskqueue_get_task", { task_id: "t" }],
  ["p2p_taskqueue_list_tasks", { status: "queued", limit: 3 }],
  ["p2p_taskqueue_complete_task", { task_id: "t", lease_token: 1, result: { a: 1 } }],
  ["p2p_taskqueue_wait_task", { task_id: "t", timeout_s: 0 }],
  ["p2p_taskqueue_status", { detail: true }],
  ["p2p_taskqueue_cache_set", { key: "k", value: { a: 1 }, ttl_s: 1 }],
  ["p2p_taskqueue_cache_get", { key: "k" }],
];

const request = (id: number | string, method: string, params: object): object => ({
  jsonrpc: "2.0",
  id,
  method,
  params,
});

/** Calls between nodes. */
export const CALLS: readonly object[] = RPC.map(([name, params], id) =>
  request(`c${id}`, `mcp++/${name}`, params),
);

/** MCP of both eras. */
export const MCP: readonly object[] = [
  ...TOOLS.map(([name, args], id) => request(id, "tools/call", { name, arguments: args, _meta: META })),
  request(20, "tools/list", { _meta: META }),
  request(21, "server/discover", { _meta: META }),
  request(22, "ping", {}),
  request(23, "initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "fuzz", version: "1" },
  }),
  { jsonrpc: "2.0", method: "notifications/initialized" },
  { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1, reason: "r" } },
  { jsonrpc: "2.0", id: 1, result: { a: 1 } },
  { jsonrpc: "2.0", id: 1, error: { code: -1, message: "m" } },
];

const clock = { node_id: "n", vector: { n: 1 }, merkle_root: "0".repeat(64) };

/** Requests of the old wire: every operation, with the fields that it reads. */
export const OLD_REQUESTS: readonly object[] = [
  {
    op: "submit",
    task_type: "echo",
    model_name: "m",
    payload: { n: 1, priority: 5, idempotency_key: "k" },
  },
  { op: "claim", worker_id: "w", supported_task_types: ["echo"], peer: "p", clock },
  { op: "claim_many", worker_id: "w", task_types: "echo,t", max_tasks: 3, same_task_type: true },
  { op: "complete", task_id: "t", worker_id: "w", status: "completed", result: { a: 1 }, error: null },
  { op: "complete", task_id: "t", status: "failed", result: null, error: "e" },
  { op: "release", task_id: "t", worker_id: "w", reason: "r" },
  { op: "cancel", task_id: "t", reason: "r" },
  { op: "heartbeat", peer: "p", clock },
  { op: "list", status: "queued", limit: 50, task_types: ["echo"], cursor: "" },
  { op: "get", task_id: "t" },
  { op: "wait", task_id: "t", timeout_s: 0.001 },
  { op: "status", detail: true },
  { op: "call_tool", tool: "p2p_taskqueue_status", args: { detail: 1 } },
  { op: "call_tool", tool_name: "p2p_taskqueue_submit", params: { task_type: "echo", payload: { n: 1 } } },
  { op: "cache.set", key: "k", value: { v: 1 }, ttl_s: 5.5, origin_peer_id: "p", replicate: false },
  { op: "cache.get", key: "k" },
  { op: "cache.has", key: "k", token: "s" },
  { op: "cache.delete", key: "k", replicate: true },
];
