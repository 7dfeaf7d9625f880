/** A configuration from its single settings. */
import type { NodeConfig } from "./node-config.ts";
import type { SettingName } from "./settings/index.ts";

/** Gives the value of one setting. */
type ValueOf = <K extends SettingName>(name: K) => NodeConfig[K];

/** The configuration that has the values of `value`. */
export function collect(value: ValueOf): NodeConfig {
  return {
    ...serverSettings(value),
    ...discoverySettings(value),
    ...registrySettings(value),
    ...reachSettings(value),
    ...workSettings(value),
    ...containerSettings(value),
  };
}

function serverSettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "name"
  | "dataDir"
  | "database"
  | "store"
  | "retentionMs"
  | "drainMs"
  | "logLevel"
  | "http"
  | "host"
  | "port"
  | "mountPath"
  | "corsOrigins"
  | "p2p"
  | "listen"
  | "announce"
  | "tokenFile"
  | "token"
  | "allowPeers"
  | "cachePeers"
  | "sendTokenToOldPeers"
> {
  return {
    name: value("name"),
    dataDir: value("dataDir"),
    database: value("database"),
    store: value("store"),
    retentionMs: value("retentionMs"),
    drainMs: value("drainMs"),
    logLevel: value("logLevel"),
    http: value("http"),
    host: value("host"),
    port: value("port"),
    mountPath: value("mountPath"),
    corsOrigins: value("corsOrigins"),
    p2p: value("p2p"),
    listen: value("listen"),
    announce: value("announce"),
    tokenFile: value("tokenFile"),
    token: value("token"),
    allowPeers: value("allowPeers"),
    cachePeers: value("cachePeers"),
    sendTokenToOldPeers: value("sendTokenToOldPeers"),
  };
}

function discoverySettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "announceFile"
  | "announceFiles"
  | "bootstrap"
  | "publicBootstrap"
  | "dnsaddr"
  | "peerFolder"
  | "peerFolderTtlMs"
  | "mdns"
  | "mdnsService"
  | "mdnsBrowse"
  | "mdnsIntervalMs"
  | "namespace"
  | "rendezvous"
  | "rendezvousServer"
  | "rendezvousUnsigned"
  | "dht"
  | "dhtBootstrap"
  | "dhtMode"
  | "searchOrder"
  | "heartbeatMs"
> {
  return {
    announceFile: value("announceFile"),
    announceFiles: value("announceFiles"),
    bootstrap: value("bootstrap"),
    publicBootstrap: value("publicBootstrap"),
    dnsaddr: value("dnsaddr"),
    peerFolder: value("peerFolder"),
    peerFolderTtlMs: value("peerFolderTtlMs"),
    mdns: value("mdns"),
    mdnsService: value("mdnsService"),
    mdnsBrowse: value("mdnsBrowse"),
    mdnsIntervalMs: value("mdnsIntervalMs"),
    namespace: value("namespace"),
    rendezvous: value("rendezvous"),
    rendezvousServer: value("rendezvousServer"),
    rendezvousUnsigned: value("rendezvousUnsigned"),
    dht: value("dht"),
    dhtBootstrap: value("dhtBootstrap"),
    dhtMode: value("dhtMode"),
    searchOrder: value("searchOrder"),
    heartbeatMs: value("heartbeatMs"),
  };
}

function registrySettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "githubRegistry"
  | "githubTitle"
  | "githubApi"
  | "githubTokenFile"
  | "githubToken"
  | "githubCli"
  | "githubTtlMs"
  | "githubRefreshMs"
  | "githubAuthors"
  | "githubOldAuthors"
  | "githubPublish"
  | "githubLocalAddresses"
  | "githubCleanup"
> {
  return {
    githubRegistry: value("githubRegistry"),
    githubTitle: value("githubTitle"),
    githubApi: value("githubApi"),
    githubTokenFile: value("githubTokenFile"),
    githubToken: value("githubToken"),
    githubCli: value("githubCli"),
    githubTtlMs: value("githubTtlMs"),
    githubRefreshMs: value("githubRefreshMs"),
    githubAuthors: value("githubAuthors"),
    githubOldAuthors: value("githubOldAuthors"),
    githubPublish: value("githubPublish"),
    githubLocalAddresses: value("githubLocalAddresses"),
    githubCleanup: value("githubCleanup"),
  };
}

function reachSettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "relay"
  | "relayFor"
  | "relayReservations"
  | "relayReservationMs"
  | "relayConnectionMib"
  | "relayConnectionMs"
  | "relayVia"
  | "holePunch"
  | "autonat"
  | "upnp"
  | "denyPeers"
  | "denyAddresses"
  | "onlyPeers"
  | "onlyAddresses"
  | "accessFile"
  | "swarmKeyFile"
  | "maxConnections"
  | "maxConnectionsPerAddress"
  | "maxFrameBytes"
  | "maxPeerRequests"
  | "maxPeerRateBytes"
> {
  return {
    relay: value("relay"),
    relayFor: value("relayFor"),
    relayReservations: value("relayReservations"),
    relayReservationMs: value("relayReservationMs"),
    relayConnectionMib: value("relayConnectionMib"),
    relayConnectionMs: value("relayConnectionMs"),
    relayVia: value("relayVia"),
    holePunch: value("holePunch"),
    autonat: value("autonat"),
    upnp: value("upnp"),
    denyPeers: value("denyPeers"),
    denyAddresses: value("denyAddresses"),
    onlyPeers: value("onlyPeers"),
    onlyAddresses: value("onlyAddresses"),
    accessFile: value("accessFile"),
    swarmKeyFile: value("swarmKeyFile"),
    maxConnections: value("maxConnections"),
    maxConnectionsPerAddress: value("maxConnectionsPerAddress"),
    maxFrameBytes: value("maxFrameBytes"),
    maxPeerRequests: value("maxPeerRequests"),
    maxPeerRateBytes: value("maxPeerRateBytes"),
  };
}

function workSettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "workers"
  | "workFor"
  | "workerId"
  | "leaseMs"
  | "mounts"
  | "assignment"
  | "githubWorkflows"
  | "githubWorkflowsMs"
  | "p2pTools"
  | "taskqueueTools"
  | "workflowTools"
> {
  return {
    workers: value("workers"),
    workFor: value("workFor"),
    workerId: value("workerId"),
    leaseMs: value("leaseMs"),
    mounts: value("mounts"),
    assignment: value("assignment"),
    githubWorkflows: value("githubWorkflows"),
    githubWorkflowsMs: value("githubWorkflowsMs"),
    p2pTools: value("p2pTools"),
    taskqueueTools: value("taskqueueTools"),
    workflowTools: value("workflowTools"),
  };
}

function containerSettings(
  value: ValueOf,
): Pick<
  NodeConfig,
  | "containers"
  | "containerEngine"
  | "containerImages"
  | "containerRepositories"
  | "containerPull"
  | "containerNetworks"
  | "containerMounts"
  | "containerDevices"
  | "containerGpus"
  | "containerRoot"
  | "containerBuildRun"
  | "containerMemoryBytes"
  | "containerCpus"
  | "containerPids"
  | "containerTmpBytes"
  | "containerTimeoutMs"
  | "shellImage"
> {
  return {
    containers: value("containers"),
    containerEngine: value("containerEngine"),
    containerImages: value("containerImages"),
    containerRepositories: value("containerRepositories"),
    containerPull: value("containerPull"),
    containerNetworks: value("containerNetworks"),
    containerMounts: value("containerMounts"),
    containerDevices: value("containerDevices"),
    containerGpus: value("containerGpus"),
    containerRoot: value("containerRoot"),
    containerBuildRun: value("containerBuildRun"),
    containerMemoryBytes: value("containerMemoryBytes"),
    containerCpus: value("containerCpus"),
    containerPids: value("containerPids"),
    containerTmpBytes: value("containerTmpBytes"),
    containerTimeoutMs: value("containerTimeoutMs"),
    shellImage: value("shellImage"),
  };
}
