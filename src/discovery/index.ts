/** The shelf of discoveries: one file each, one line here. */
import type { Mechanism } from "../p2p/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { announceFileDiscovery } from "./announce-file.ts";
import { bootstrapDiscovery } from "./bootstrap.ts";
import type { DhtOptions } from "./dht/dht.ts";
import { githubIssues } from "./github-issues/mechanism.ts";
import type { GithubIssuesConfig } from "./github-issues/settings.ts";
import { type Dnsaddr, dnsaddrMechanism } from "./dnsaddr.ts";
import { mdnsMechanism, type MdnsOptions } from "./mdns.ts";
import { peerFolderDiscovery, type PeerFolderOptions } from "./peer-folder.ts";
import { publicBootstrapDiscovery } from "./public-bootstrap.ts";
import { rendezvous, type RendezvousOptions } from "./rendezvous/rendezvous.ts";

export {
  type AnnounceFacts,
  type AnnounceHandle,
  announceFileDiscovery,
  type Announcement,
  readAnnounce,
  writeAnnounce,
} from "./announce-file.ts";
export { bootstrapDiscovery } from "./bootstrap.ts";
export type { GithubIssuesConfig, TokenSource } from "./github-issues/settings.ts";
export { followGithubWorkflows, type GithubWorkflowsOptions } from "./github-workflows/follow.ts";
export { createDnsaddr, type Dnsaddr, type DnsaddrOptions, dnsaddrMechanism } from "./dnsaddr.ts";
export { type MdnsMode, type MdnsOptions, mdnsMechanism } from "./mdns.ts";
export { peerFolderDiscovery, type PeerFolderOptions } from "./peer-folder.ts";
export { PUBLIC_BOOTSTRAP } from "./public-bootstrap.ts";

/** Where to look for peers. */
export interface DiscoveryConfig {
  /** Files that other nodes write; none means that files are not looked at. */
  readonly announceFiles: readonly string[];
  /** Multiaddrs of known peers. */
  readonly bootstrap: readonly string[];
  /** A registry on GitHub Issues. Absent: GitHub is not asked. */
  readonly githubIssues?: GithubIssuesConfig | undefined;
  /** Looks up `/dnsaddr` addresses. Absent: they cannot be dialled. */
  readonly dnsaddr?: Dnsaddr | undefined;
  /** Whether libp2p's public entry points are used by a node that knows nobody else. Default no. */
  readonly publicBootstrap?: boolean | undefined;
  /** The folder in which nodes of this machine write where they are. Absent: none. */
  readonly peerFolder?: PeerFolderOptions | undefined;
  /** The local network. Absent: it is not asked. */
  readonly mdns?: MdnsOptions | undefined;
  /** Rendezvous nodes. Absent: none is asked, and this node is none. */
  readonly rendezvous?: RendezvousOptions | undefined;
  /** Absent: no DHT. */
  readonly dht?: DhtOptions | undefined;
}

/** The discoveries that `config` asks for. @throws ConfigError if an address is none */
export function createDiscoveries(config: DiscoveryConfig): readonly Discovery[] {
  const { announceFiles, bootstrap, dnsaddr, peerFolder } = config;
  const known = [
    ...(announceFiles.length > 0 ? [announceFileDiscovery(announceFiles)] : []),
    ...(bootstrap.length > 0 ? [bootstrapDiscovery(bootstrap, { dnsaddr })] : []),
    ...(peerFolder ? [peerFolderDiscovery(peerFolder)] : []),
  ];
  return [...known, ...(config.publicBootstrap ? [publicBootstrapDiscovery(known, { dnsaddr })] : [])];
}

/** Those of them that run over libp2p itself, to be opened with the host. @throws ConfigError if an address is none */
export async function createMechanisms(config: DiscoveryConfig): Promise<readonly Mechanism[]> {
  const { dnsaddr, mdns, githubIssues: registry } = config;
  return [
    ...(dnsaddr ? [dnsaddrMechanism(dnsaddr)] : []),
    ...(config.rendezvous ? [rendezvous(config.rendezvous)] : []),
    ...(config.dht ? [await dhtOf(config.dht)] : []),
    ...(mdns ? [mdnsMechanism(mdns)] : []),
    ...(registry ? [githubIssues(registry)] : []),
  ];
}

async function dhtOf(options: DhtOptions): Promise<Mechanism> {
  // A node without it need not wait for its packages, nor have them in memory.
  const { dht } = await import("./dht/dht.ts");
  return dht(options);
}
