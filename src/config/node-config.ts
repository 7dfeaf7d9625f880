/** What a node can be told, after everything was parsed, resolved and filled in. */
import type { LogLevel } from "../logger.ts";

/** An MCP server whose tools the node offers under `name__`. */
export interface MountConfig {
  /** Lower-case letters, digits and hyphens, beginning with a letter, at most 32. */
  readonly name: string;
  /** A command line, or an http(s) URL. */
  readonly target: string;
}

/** How many tasks of a type at once. */
export interface TypeLimit {
  /** Any name of the type. */
  readonly name: string;
  /** A whole number as text, at least 1. */
  readonly target: string;
}

/** The address of a database on a PostgreSQL server. It may have a password. */
export type DatabaseUrl = `postgres://${string}` | `postgresql://${string}`;

/** Which engine keeps the queue, or in which database it is. */
export type StoreName = "sqlite" | "memory" | DatabaseUrl;

/** When nodes of the local network are looked for. */
export type MdnsSetting = "auto" | "on" | "loopback" | "off";

/** The configuration of a node. The table of settings says what each one means, allows and defaults to. */
export interface NodeConfig {
  readonly name: string;
  /** Absolute. */
  readonly dataDir: string;
  /** Absolute. */
  readonly database: string;
  /** Secret if it is a URL: never shown whole, never logged. */
  readonly store: StoreName;
  readonly retentionMs: number;
  readonly http: boolean;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly mountPath: string;
  /** 1: the process itself is the node. */
  readonly processes: number;
  /** Origins of web pages that may use the node over HTTP. */
  readonly corsOrigins: readonly string[];
  readonly p2p: boolean;
  readonly listen: readonly string[];
  /** Empty: what the node listens on. */
  readonly announce: readonly string[];
  /** Absolute path, or `off`. */
  readonly announceFile: string;
  /** Absolute paths. */
  readonly announceFiles: readonly string[];
  readonly bootstrap: readonly string[];
  /** `owner/name`; undefined: there is no registry on GitHub. */
  readonly githubRegistry?: string | undefined;
  /** Title of the registry's issue. */
  readonly githubTitle: string;
  /** Base URL of the REST API, without a slash at its end. */
  readonly githubApi: string;
  /** Absolute path of the file that the token for GitHub was read from, if it was. */
  readonly githubTokenFile?: string | undefined;
  /** Secret: never shown, never logged. */
  readonly githubToken?: string | undefined;
  readonly githubCli: boolean;
  readonly githubTtlMs: number;
  readonly githubRefreshMs: number;
  /** Empty: members of the repository. */
  readonly githubAuthors: readonly string[];
  readonly githubOldAuthors: readonly string[];
  readonly githubPublish: boolean;
  readonly githubLocalAddresses: boolean;
  readonly githubCleanup: boolean;
  readonly publicBootstrap: boolean;
  readonly dnsaddr: boolean;
  /** Absolute path, or `off`. */
  readonly peerFolder: string;
  readonly peerFolderTtlMs: number;
  readonly mdns: MdnsSetting;
  readonly mdnsService: string;
  readonly mdnsBrowse: readonly string[];
  readonly mdnsIntervalMs: number;
  /** Under which nodes look for each other by rendezvous, DHT, registry and mDNS. */
  readonly namespace: string;
  /** Multiaddrs of rendezvous nodes. */
  readonly rendezvous: readonly string[];
  readonly rendezvousServer: boolean;
  /** Whether records without a signature are dealt with. */
  readonly rendezvousUnsigned: boolean;
  readonly dht: "off" | "private" | "public";
  /** Empty: those of {@link NodeConfig.bootstrap}, or the public ones. */
  readonly dhtBootstrap: readonly string[];
  readonly dhtMode: "auto" | "server" | "client";
  /** Names of mechanisms; empty: the default order. */
  readonly searchOrder: readonly string[];
  readonly heartbeatMs: number;
  /** Absolute path of the file that the token was read from, if it was. */
  readonly tokenFile?: string | undefined;
  /** Secret: never shown, never logged. */
  readonly token?: string | undefined;
  readonly allowPeers: readonly string[];
  /** Peer ids and multiaddrs. */
  readonly cachePeers: readonly string[];
  readonly sendTokenToOldPeers: boolean;
  /** Whether the node is a relay. */
  readonly relay: boolean;
  readonly relayFor: "ours" | "anyone";
  readonly relayReservations: number;
  readonly relayReservationMs: number;
  /** 0: no limit. */
  readonly relayConnectionMib: number;
  readonly relayConnectionMs: number;
  /** Each with the relay's peer id at the end. */
  readonly relayVia: readonly string[];
  readonly holePunch: boolean;
  readonly autonat: boolean;
  readonly upnp: boolean;
  readonly denyPeers: readonly string[];
  /** IP addresses and prefixes. */
  readonly denyAddresses: readonly string[];
  /** Empty: all. */
  readonly onlyPeers: readonly string[];
  /** Empty: all. */
  readonly onlyAddresses: readonly string[];
  /** Absolute path. */
  readonly accessFile?: string | undefined;
  /** Absolute path. */
  readonly swarmKeyFile?: string | undefined;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  readonly maxFrameBytes: number;
  readonly maxPeerRequests: number;
  /** A second. */
  readonly maxPeerRateBytes: number;
  /** 0: do not work. */
  readonly workers: number;
  /** Undefined: as many as `workers`. */
  readonly minWorkers?: number | undefined;
  readonly concurrency: readonly TypeLimit[];
  readonly workFor: readonly string[];
  readonly workerId?: string | undefined;
  readonly leaseMs: number;
  readonly mounts: readonly MountConfig[];
  /** Base URLs. */
  readonly inferenceUrls: readonly string[];
  /** Absolute path of the file that the key was read from, if it was. */
  readonly inferenceKeyFile?: string | undefined;
  /** Secret: never shown, never logged. */
  readonly inferenceKey?: string | undefined;
  /** Absolute path. */
  readonly inferenceFolder?: string | undefined;
  /** Empty: all. */
  readonly inferenceModels: readonly string[];
  readonly inferenceDefaultModel?: string | undefined;
  readonly inferenceTypes: readonly ("text-generation" | "chat" | "embedding")[];
  readonly inferencePromptAs: "completion" | "chat";
  readonly inferenceConcurrency: number;
  readonly inferenceTimeoutMs: number;
  /** How the owner of a workflow task is chosen. */
  readonly assignment: "hash" | "legacy";
  /** `owner/name`, or `owner/name=/path/of/a/checkout`. */
  readonly githubWorkflows: readonly string[];
  readonly githubWorkflowsMs: number;
  readonly containers: "off" | "auto" | "on";
  /** Absolute path of a socket. */
  readonly containerEngine?: string | undefined;
  readonly containerImages: readonly string[];
  /** How URLs begin. */
  readonly containerRepositories: readonly string[];
  readonly containerPull: "missing" | "never";
  readonly containerNetworks: readonly string[];
  /** Absolute paths. */
  readonly containerMounts: readonly string[];
  readonly containerDevices: readonly string[];
  readonly containerGpus: boolean;
  readonly containerRoot: boolean;
  readonly containerBuildRun: boolean;
  readonly containerMemoryBytes: number;
  readonly containerCpus: number;
  readonly containerPids: number;
  readonly containerTmpBytes: number;
  readonly containerTimeoutMs: number;
  readonly shellImage?: string | undefined;
  /** Whether the node offers tools of its own. */
  readonly p2pTools: boolean;
  /** Whether those of the task queue are among them. */
  readonly taskqueueTools: boolean;
  /** Whether those of the workflow scheduler are among them. */
  readonly workflowTools: boolean;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
}
