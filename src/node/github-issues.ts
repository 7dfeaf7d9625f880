/** What the configuration says about the registry on GitHub Issues. */
import { childEnvironment, type NodeConfig } from "../config.ts";
import type { GithubIssuesConfig, TokenSource } from "../discovery/index.ts";

/** The registry that the configuration asks for; undefined if it asks for none. */
export function githubIssuesOf(config: NodeConfig): GithubIssuesConfig | undefined {
  const { githubRegistry: repository } = config;
  if (repository === undefined) return undefined;
  return {
    repository,
    title: config.githubTitle,
    api: config.githubApi,
    token: tokenSource(config),
    ttlMs: config.githubTtlMs,
    refreshMs: config.githubRefreshMs,
    authors: config.githubAuthors,
    oldAuthors: config.githubOldAuthors,
    publish: config.githubPublish,
    localAddresses: config.githubLocalAddresses,
    cleanup: config.githubCleanup,
  };
}

/** Where requests to GitHub take their token from. */
export function tokenSource({ githubToken, githubCli }: NodeConfig): TokenSource {
  if (githubToken !== undefined) return { from: "given", token: githubToken };
  return githubCli ? { from: "gh", env: childEnvironment() } : { from: "none" };
}
