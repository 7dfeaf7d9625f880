/** The environment variables of the Python system that mean nothing here, with the reason: for the documentation. */

/** Variables that have no effect, and why. */
export interface Unused {
  /** Without the prefixes; `*` stands for any ending. */
  readonly variables: readonly string[];
  readonly why: string;
}

/** Every variable of the queue service, its worker and its HTTP server that has no counterpart. */
export const UNUSED_VARIABLES: readonly Unused[] = [
  {
    variables: ["TASK_QUEUE_PATH"],
    why: "It names a DuckDB file. The queue is `queue.db` in the data folder (`MCPP_DATA_DIR`), in another format.",
  },
  {
    variables: ["TASK_P2P_PUBLIC_IP"],
    why: "It changes one part of one address. Name the whole ones in `MCPP_ANNOUNCE`.",
  },
  {
    variables: ["TASK_P2P_DHT_PROVIDE_INTERVAL_S"],
    why: "A node tells the DHT where it is whenever that changes, and every half hour.",
  },
  {
    variables: ["TASK_P2P_DISCOVERY_TIMEOUT_S"],
    why: "A call that looks for peers says how long it may look (`discovery_timeout_s` of `list_peers`).",
  },
  {
    variables: ["TASK_P2P_MDNS_PORT"],
    why: "It named a port at which nobody listened (D-39). The port that is announced is the one that is listened on.",
  },
  {
    variables: ["TASK_P2P_AUTONAT", "TASK_P2P_RELAY", "TASK_P2P_RELAY_HOP", "TASK_P2P_HOLEPUNCH"],
    why: "The switches had no working effect (D-38), and there are no such mechanisms to switch.",
  },
  {
    variables: ["TASK_P2P_DETERMINISTIC", "TASK_P2P_PEER_TIMEOUT_S"],
    why: "Who owns a task is a preference that runs out by itself (D-9), so there is nothing to switch off.",
  },
  {
    variables: ["TASK_P2P_SESSION"],
    why: "A label that kept workers apart without securing anything. Use a token or `MCPP_ALLOW_PEERS` (D-34, D-35).",
  },
  {
    variables: ["TASK_P2P_ENABLE_TOOLS", "TASK_P2P_ENABLE_CACHE", "TASK_P2P_CACHE_DISABLE"],
    why: "Who may call tools or use the cache is a matter of grants, closed by default (D-35, D-46).",
  },
  {
    variables: ["TASK_P2P_CACHE_DIR", "TASK_P2P_CACHE_REPLICATE*"],
    why: "The cache belongs to the node and its data folder, and copying never delays the writer (D-45).",
  },
  {
    variables: ["TASK_P2P_REMOTE_PEER_ID", "TASK_P2P_REMOTE_MULTIADDR"],
    why: "The target of another program's cache. A call names its peer: `remote_peer_id`, `remote_multiaddr`, `--peer`.",
  },
  {
    variables: ["P2P_WORKFLOW_TASKQUEUE", "GITHUB_CACHE_TASK_P2P_DISCOVERY"],
    why: "They steer other programs of the old packages.",
  },
  {
    variables: ["GITHUB_REPOSITORY"],
    why: "Every job of GitHub Actions has it; where peers are published is never guessed. Name it in `MCPP_GITHUB_REGISTRY`.",
  },
  {
    variables: ["RUNNER_NAME", "GH_PAGER"],
    why: "A node's comment is named after its peer id, and the REST API is asked directly.",
  },
  {
    variables: ["TASK_WORKER_TASK_TYPES"],
    why: "A worker offers what it can really do, mounted tools included (D-55).",
  },
  {
    variables: ["TASK_WORKER", "MCP_P2P_TASK_WORKER"],
    why: "A node works unless `MCPP_WORKERS=0`, with as many tasks at once as that says.",
  },
  {
    variables: [
      "TASK_WORKER_ENABLE_DOCKER",
      "TASK_WORKER_ENABLE_SHELL",
      "TASK_WORKER_SHELL_IMAGE",
      "TASK_WORKER_DOCKER_STREAM",
    ],
    why: "Whoever could submit a task could run any image with any mount (D-35). Containers are run under a policy: `MCPP_CONTAINERS`, `MCPP_CONTAINER_IMAGES`, `MCPP_SHELL_IMAGE`; output is always streamed.",
  },
  {
    variables: ["TASK_WORKER_MINIMAL_LLM", "LLM_MODEL", "IPFS_ACCEL_SKIP_CORE"],
    why: "They configure handlers of the old worker.",
  },
  {
    variables: [
      "TASK_WORKER_MESH_REFRESH_S",
      "TASK_WORKER_MESH_CLAIM_INTERVAL_S",
      "TASK_WORKER_MESH_MAX_PEERS",
    ],
    why: "Workers are told of work; they do not poll (D-54).",
  },
  {
    variables: ["MCP_P2P_PORT"],
    why: "The port is `TASK_P2P_LISTEN_PORT`'s, as the queue service read it.",
  },
];
