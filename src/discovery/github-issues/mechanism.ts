/** The registry on GitHub Issues as something that is opened with the host, and loaded only then. */
import type { Mechanism } from "../../p2p/index.ts";
import type { GithubIssuesConfig } from "./settings.ts";

/** The mechanism that `config` describes. */
export function githubIssues(config: GithubIssuesConfig): Mechanism {
  return {
    name: "github-issues",
    async open({ libp2p, nursery, clock, logger }) {
      // A node without a registry does not pay for loading octokit.
      const { githubIssuesDiscovery } = await import("./discovery.ts");
      const { peerId } = libp2p;
      const { publicKey } = peerId;
      return githubIssuesDiscovery(config, { peerId: peerId.toString(), publicKey, nursery, clock, logger });
    },
  };
}
