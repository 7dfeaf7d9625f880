/** The shelf of discoveries: one file each, one line here. */
import type { Mechanism } from "../p2p/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { announceFileDiscovery } from "./announce-file.ts";
import { bootstrapDiscovery } from "./bootstrap.ts";
import { githubIssues } from "./github-issues/mechanism.ts";
import type { GithubIssuesConfig } from "./github-issues/settings.ts";

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

/** Where to look for peers. */
export interface DiscoveryConfig {
  /** Files that other nodes write; none means that files are not looked at. */
  readonly announceFiles: readonly string[];
  /** Multiaddrs of known peers. */
  readonly bootstrap: readonly string[];
  /** A registry on GitHub Issues. Absent: GitHub is not asked. */
  readonly githubIssues?: GithubIssuesConfig | undefined;
}

/** The discoveries that `config` asks for. @throws ConfigError if an address is none */
export function createDiscoveries(config: DiscoveryConfig): readonly Discovery[] {
  return [
    ...(config.announceFiles.length > 0 ? [announceFileDiscovery(config.announceFiles)] : []),
    ...(config.bootstrap.length > 0 ? [bootstrapDiscovery(config.bootstrap)] : []),
  ];
}

/** Those of them that run over libp2p itself, to be opened with the host. */
export function createMechanisms(config: DiscoveryConfig): readonly Mechanism[] {
  return config.githubIssues ? [githubIssues(config.githubIssues)] : [];
}
