/** Where a node looks for peers. */
import type { NodeConfig } from "../config.ts";
import type { DiscoveryConfig } from "../discovery/index.ts";
import type { Foundation } from "./foundation.ts";
import { githubIssuesOf } from "./github-issues.ts";

/** Where to look for peers, as the settings say. */
export async function discoveryConfig({ config, clock, logger }: Foundation): Promise<DiscoveryConfig> {
  const { createDnsaddr } = await import("../discovery/index.ts");
  const { peerFolder: folder, peerFolderTtlMs: ttlMs, mdns: mode } = config;
  const { mdnsService: service, mdnsBrowse: browse, mdnsIntervalMs: intervalMs } = config;
  return {
    announceFiles: config.announceFiles,
    bootstrap: config.bootstrap,
    publicBootstrap: config.publicBootstrap,
    dnsaddr: config.dnsaddr ? createDnsaddr({ clock }) : undefined,
    peerFolder:
      folder === "off"
        ? undefined
        : { folder, ttlMs, clock, logger: logger.child({ room: "discovery", mechanism: "peer-folder" }) },
    rendezvous: rendezvousOf(config),
    dht: dhtOf(config),
    githubIssues: githubIssuesOf(config),
    mdns: mode === "off" ? undefined : { mode, service, browse, intervalMs },
  };
}

function rendezvousOf(config: NodeConfig): DiscoveryConfig["rendezvous"] {
  const { namespace, rendezvous: points, rendezvousServer: server, rendezvousUnsigned: unsigned } = config;
  return points.length > 0 || server ? { points, namespace, server, unsigned } : undefined;
}

function dhtOf({ dht, dhtMode, dhtBootstrap, bootstrap, namespace }: NodeConfig): DiscoveryConfig["dht"] {
  if (dht === "off") return undefined;
  const entries = dhtBootstrap.length > 0 ? dhtBootstrap : bootstrap;
  return { network: dht, mode: dhtMode, bootstrap: entries, namespace };
}
