/** Where a node looks for peers. */
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
    namespace: config.namespace,
    rendezvous: config.rendezvous,
    rendezvousServer: config.rendezvousServer,
    rendezvousUnsigned: config.rendezvousUnsigned,
    dht: config.dht,
    dhtBootstrap: config.dhtBootstrap,
    dhtMode: config.dhtMode,
    githubIssues: githubIssuesOf(config),
    mdns: mode === "off" ? undefined : { mode, service, browse, intervalMs },
  };
}
