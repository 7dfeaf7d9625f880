/**
 * Every setting of a node, as data: its names, its kind, its default and what it does.
 *
 * The flags, the environment variables, the file's keys, `--help`, `mcpp config show` and the reference page come from here.
 */
import { homedir } from "node:os";
import { join } from "node:path";
import { choice, duration, integer, type Kind, list, named, onOff, path, pathOrOff, text } from "./kind.ts";
import type { MountConfig, NodeConfig } from "./node-config.ts";

/** What defaults may depend on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The data folder in force. */
  readonly dataDir: string;
}

/** One setting. */
export interface Setting<T> {
  /** Without the hyphens. Absent for what must not stand on a command line, where others can read it. */
  readonly flag?: string | undefined;
  readonly env: string;
  /** Key in the file. Absent for what must not stand there. */
  readonly key?: string | undefined;
  readonly kind: Kind<T>;
  readonly fallback: (around: Surroundings) => T;
  /** The default in words, where the value itself would not tell. */
  readonly fallbackText?: string | undefined;
  /** What it does: one sentence. */
  readonly summary: string;
  readonly secret?: boolean | undefined;
}

/** The name of a setting. */
export type SettingName = keyof NodeConfig;

/** All settings, by the name they have in {@link NodeConfig}. */
export type SettingTable = { readonly [K in SettingName]: Setting<NodeConfig[K]> };

/** A shorter secret can be guessed. */
export const MIN_TOKEN_CHARS = 32;
/** More at once than this on one event loop only makes all of them slow. */
const MAX_WORKERS = 256;
/** The limits of a lease, as the queue has them (task/queue.ts), without loading it. */
const MIN_LEASE_MS = 1000;
const MAX_LEASE_MS = 3_600_000;
/** A host that stops a service kills it after a while; ten minutes is beyond any of them. */
const MAX_DRAIN_MS = 600_000;
const MIN_RETENTION_MS = 60_000;
const MAX_RETENTION_MS = 3650 * 86_400_000;
const WEEK_MS = 7 * 86_400_000;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;
const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/\S+$/;
const PEER_ID = /^(12D3KooW|16Uiu2|Qm)[1-9A-HJ-NP-Za-km-z]{30,}$|^(k|b)[a-z2-7]{40,}$/;
/** Names of mounted servers: they become prefixes of tool names. */
const MOUNT_NAME = /^[a-z][a-z0-9-]{0,31}$/;

const multiaddr = text("multiaddr", "a multiaddr such as /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…", MULTIADDR);
const peerId = text("peer-id", "a peer id such as 12D3KooW…", PEER_ID);
const queueName = text(
  "peer-id|multiaddr|discovered",
  "a peer id, a multiaddr, or the word discovered",
  new RegExp(`^discovered$|${PEER_ID.source}|${MULTIADDR.source}`),
);
const peer = text(
  "peer-id|multiaddr",
  "a peer id, or a multiaddr",
  new RegExp(`${PEER_ID.source}|${MULTIADDR.source}`),
);
const mounts: Kind<readonly MountConfig[]> = named(
  MOUNT_NAME,
  "name=target, the name of lower-case letters, digits and hyphens, beginning with a letter, at most 32; the target a command line or an http(s) URL",
  (name, target) => ({ name, target }),
);
const origin = text(
  "origin",
  "an origin as browsers send it, such as https://app.example or http://localhost:5173: lower case, without a path; * is not allowed",
  /^https?:\/\/[^\sA-Z/*?#@,]+$/,
);
const loopback = text(
  "address",
  "a loopback address such as 127.0.0.1 (MCP over HTTP has no authentication in this version, so it is not offered to other machines; peers reach the node over libp2p)",
  LOOPBACK,
);

/** Names in all three places, from one: `data-dir` gives `--data-dir`, `MCPP_DATA_DIR` and `data_dir`. */
function names(flag: string): { readonly flag: string; readonly env: string; readonly key: string } {
  const key = flag.replaceAll("-", "_");
  return { flag, env: `MCPP_${key.toUpperCase()}`, key };
}

const none = (): undefined => undefined;

const SERVER: Pick<
  SettingTable,
  "name" | "dataDir" | "database" | "store" | "retentionMs" | "drainMs" | "logLevel"
> = {
  name: {
    ...names("name"),
    kind: text("name", "a name of 1 to 128 characters", /^\S(.{0,126}\S)?$/),
    fallback: () => "mcplusplus",
    summary: "Name that the MCP server gives itself.",
  },
  dataDir: {
    ...names("data-dir"),
    kind: path(),
    fallback: ({ env }) => join(xdg(env, "XDG_DATA_HOME", ".local/share"), "mcplusplus"),
    fallbackText: "$XDG_DATA_HOME/mcplusplus, or ~/.local/share/mcplusplus",
    summary: "Folder of the node's identity, queue and announcement. Each node needs its own.",
  },
  database: {
    ...names("database"),
    kind: path(),
    fallback: ({ dataDir }) => join(dataDir, "queue.db"),
    fallbackText: "queue.db in the data folder",
    summary:
      "File of the queue. Several nodes of one machine may share one: each with a data folder of its own.",
  },
  store: {
    ...names("store"),
    kind: choice("sqlite", "memory"),
    fallback: () => "sqlite",
    summary: "Where the queue is kept; memory forgets everything when the node ends.",
  },
  retentionMs: {
    ...names("retention"),
    kind: duration(MIN_RETENTION_MS, MAX_RETENTION_MS),
    fallback: () => WEEK_MS,
    summary: "How long finished tasks are kept.",
  },
  drainMs: {
    ...names("drain"),
    kind: duration(0, MAX_DRAIN_MS),
    fallback: () => 10_000,
    summary: "How long running tasks may go on after the node was asked to end; then they are handed back.",
  },
  logLevel: {
    ...names("log-level"),
    kind: choice("debug", "info", "warn", "error", "silent"),
    fallback: () => "warn",
    summary: "Least level of the log lines written to standard error, as JSON.",
  },
};

const HTTP: Pick<SettingTable, "http" | "host" | "port" | "mountPath" | "corsOrigins"> = {
  http: { ...names("http"), kind: onOff(), fallback: () => true, summary: "Serve MCP over HTTP." },
  host: {
    ...names("host"),
    kind: loopback,
    fallback: () => "127.0.0.1",
    summary: "Address that HTTP listens on; loopback only.",
  },
  port: {
    ...names("port"),
    kind: integer("port", 0, 65_535),
    fallback: () => 8000,
    summary: "Port that HTTP listens on; 0 takes any free one.",
  },
  mountPath: {
    ...names("mount-path"),
    kind: text("path", "a URL path such as /mcp", /^\/[\w\-./~]*$/),
    fallback: () => "/mcp",
    summary: "URL path of the MCP endpoint.",
  },
  corsOrigins: {
    ...names("cors-origin"),
    env: "MCPP_CORS_ORIGINS",
    key: "cors_origins",
    kind: list(origin),
    fallback: () => [],
    fallbackText: "none",
    summary: "Origins whose web pages may use the node over HTTP, with the rights of its owner.",
  },
};

const P2P: Pick<
  SettingTable,
  | "p2p"
  | "listen"
  | "announce"
  | "announceFile"
  | "announceFiles"
  | "bootstrap"
  | "tokenFile"
  | "token"
  | "allowPeers"
  | "cachePeers"
  | "sendTokenToOldPeers"
> = {
  p2p: { ...names("p2p"), kind: onOff(), fallback: () => true, summary: "Be a libp2p peer." },
  listen: {
    ...names("listen"),
    kind: list(multiaddr),
    fallback: () => ["/ip4/127.0.0.1/tcp/0"],
    summary: "Multiaddrs to listen on; the default is reached from this machine only.",
  },
  announce: {
    ...names("announce"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "what the node listens on",
    summary: "Multiaddrs that others are told to use, where they differ from what the node listens on.",
  },
  announceFile: {
    ...names("announce-file"),
    kind: pathOrOff(),
    fallback: ({ dataDir }) => join(dataDir, "announce.json"),
    fallbackText: "announce.json in the data folder",
    summary: "File in which the node says where it is; off writes none.",
  },
  announceFiles: {
    ...names("announce-files"),
    kind: list(path()),
    fallback: () => [],
    fallbackText: "none",
    summary: "Announce files of other nodes to read.",
  },
  bootstrap: {
    ...names("bootstrap"),
    kind: list(multiaddr),
    fallback: () => [],
    fallbackText: "none",
    summary: "Multiaddrs of other nodes to try when a peer is looked for.",
  },
  tokenFile: {
    ...names("token-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary: `File that holds the shared token, at least ${MIN_TOKEN_CHARS} characters.`,
  },
  token: {
    env: "MCPP_TOKEN",
    kind: text(
      "token",
      `at least ${MIN_TOKEN_CHARS} characters without white space`,
      new RegExp(`^\\S{${MIN_TOKEN_CHARS},}$`),
    ),
    fallback: none,
    fallbackText: "none",
    summary: "Shared token: nodes that prove it to each other may use each other's queues and tools.",
    secret: true,
  },
  allowPeers: {
    ...names("allow-peer"),
    env: "MCPP_ALLOW_PEERS",
    key: "allow_peers",
    kind: list(peerId),
    fallback: () => [],
    fallbackText: "none",
    summary: "Peer ids that may use this node without the token.",
  },
  cachePeers: {
    ...names("cache-peer"),
    env: "MCPP_CACHE_PEERS",
    key: "cache_peers",
    kind: list(peer),
    fallback: () => [],
    fallbackText: "none",
    summary: "Nodes that always have a copy of this node's cache.",
  },
  sendTokenToOldPeers: {
    ...names("send-token-to-old-peers"),
    kind: onOff(),
    fallback: () => false,
    summary:
      "Send the token as it is to peers that speak only the old protocol, if they were asked for by id.",
  },
};

const WORK: Pick<SettingTable, "workers" | "workFor" | "workerId" | "leaseMs" | "mounts"> = {
  workers: {
    ...names("workers"),
    kind: integer("n", 0, MAX_WORKERS),
    fallback: () => 4,
    summary: "How many tasks the node works on at once; 0 does not work.",
  },
  workFor: {
    ...names("work-for"),
    kind: list(queueName),
    fallback: () => [],
    fallbackText: "only this node's own queue",
    summary: "Other nodes whose queues this node works for; discovered means all that it finds.",
  },
  workerId: {
    ...names("worker-id"),
    kind: text("id", "1 to 128 characters without white space", /^\S{1,128}$/),
    fallback: none,
    fallbackText: "made from the host name and the peer id",
    summary: "Name under which the node claims tasks.",
  },
  leaseMs: {
    ...names("lease"),
    kind: duration(MIN_LEASE_MS, MAX_LEASE_MS),
    fallback: () => 30_000,
    summary: "How long a claimed task stays the worker's without a sign of life.",
  },
  mounts: {
    ...names("mount"),
    env: "MCPP_MOUNTS",
    key: "mounts",
    kind: mounts,
    fallback: () => [],
    fallbackText: "none",
    summary:
      "MCP servers whose tools the node offers as name__tool: a command line or a URL. In the file, a table.",
  },
};

const TOOLS: Pick<SettingTable, "p2pTools" | "taskqueueTools"> = {
  p2pTools: {
    ...names("p2p-tools"),
    kind: onOff(),
    fallback: () => true,
    summary: "Offer tools of the node's own; without them it offers those of mounted servers only.",
  },
  taskqueueTools: {
    ...names("taskqueue-tools"),
    kind: onOff(),
    fallback: () => true,
    summary: "Offer the tools of the task queue among them.",
  },
};

/** Every setting, in the order in which they are shown. */
export const SETTINGS: SettingTable = { ...SERVER, ...HTTP, ...P2P, ...WORK, ...TOOLS };

/** The names of all settings, in the order of {@link SETTINGS}. */
export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS).filter(isSettingName);

/** Whether `name` is a setting. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** The default of a setting in words. */
export function fallbackText(name: SettingName): string {
  const setting: Setting<unknown> = SETTINGS[name];
  return setting.fallbackText ?? setting.kind.show(setting.fallback({ env: {}, dataDir: "" }));
}

/** A folder after the XDG Base Directory specification, which has relative values ignored. */
export function xdg(env: Surroundings["env"], variable: string, fallback: string): string {
  const value = env[variable];
  return value?.startsWith("/") ? value : join(env["HOME"] || homedir(), fallback);
}
