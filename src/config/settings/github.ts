/** Settings of the registry on GitHub Issues. */
import { duration, type Kind, list, onOff, path, text } from "../kind.ts";
import { names, none, type SettingTable } from "./setting.ts";

const MIN_TTL_MS = 60_000;
const MAX_TTL_MS = 86_400_000;
const HALF_HOUR_MS = 1_800_000;
const MIN_REFRESH_MS = 1000;
const MAX_REFRESH_MS = 3_600_000;

const repository: Kind<string> = text(
  "owner/name",
  "a repository such as my-org/peers",
  /^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/(?!\.{1,2}$)[\w.-]{1,100}$/,
);
const title: Kind<string> = text("title", "1 to 100 letters, digits and . _ -", /^[\w.-]{1,100}$/);
const api: Kind<string> = text(
  "url",
  "an https URL without a slash at its end, such as https://ghe.example.org/api/v3 (http on this machine only)",
  /^(https:\/\/[\w.-]+(:\d+)?|http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)(\/[\w.-]+)*$/,
);
const author: Kind<string> = text(
  "login",
  "a login such as octocat or github-actions[bot], or * for everybody",
  /^(\*|[\w-]{1,100}(\[bot\])?)$/,
);
const login: Kind<string> = text(
  "login",
  "a login such as octocat or github-actions[bot]",
  /^[\w-]{1,100}(\[bot\])?$/,
);

/** The registry on GitHub Issues; off unless a repository is named. */
export const GITHUB: Pick<
  SettingTable,
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
> = {
  githubRegistry: {
    ...names("github-registry"),
    kind: repository,
    fallback: none,
    fallbackText: "none: GitHub is not asked",
    summary: "GitHub repository in whose issues nodes find each other.",
  },
  githubTitle: {
    ...names("github-title"),
    kind: title,
    fallback: () => "p2p-peer-registry",
    summary:
      "Title of the issue: nodes with the same one find each other. The default is the Python system's.",
  },
  githubApi: {
    ...names("github-api"),
    kind: api,
    fallback: () => "https://api.github.com",
    summary: "Base URL of the REST API, for GitHub Enterprise.",
  },
  githubTokenFile: {
    ...names("github-token-file"),
    kind: path(),
    fallback: none,
    fallbackText: "none",
    summary: "File that holds a GitHub token; it must not be readable by others.",
  },
  githubToken: {
    env: "MCPP_GITHUB_TOKEN",
    kind: text("token", "a token without white space", /^[\x21-\x7e]{1,1024}$/),
    fallback: none,
    fallbackText: "none: the registry is only read, and only if it is public",
    summary: "GitHub token that may read and write the issues of the repository.",
    secret: true,
  },
  githubCli: {
    ...names("github-cli"),
    kind: onOff(),
    fallback: () => false,
    summary: "Ask the GitHub command line tool for a token (gh auth token) if none is given.",
  },
  githubTtlMs: {
    ...names("github-ttl"),
    kind: duration(MIN_TTL_MS, MAX_TTL_MS),
    fallback: () => HALF_HOUR_MS,
    summary: "How long the node's record in the registry is valid; it is renewed after half of that.",
  },
  githubRefreshMs: {
    ...names("github-refresh"),
    kind: duration(MIN_REFRESH_MS, MAX_REFRESH_MS),
    fallback: () => 30_000,
    summary: "Least time between two readings of the registry; without a token two minutes.",
  },
  githubAuthors: {
    ...names("github-author"),
    env: "MCPP_GITHUB_AUTHORS",
    key: "github_authors",
    kind: list(author),
    fallback: () => [],
    fallbackText: "members of the repository, and who the node itself writes as",
    summary: "Logins whose signed records are believed; * is everybody.",
  },
  githubOldAuthors: {
    ...names("github-old-author"),
    env: "MCPP_GITHUB_OLD_AUTHORS",
    key: "github_old_authors",
    kind: list(login),
    fallback: () => [],
    fallbackText: "none",
    summary: "Logins whose unsigned records, as the Python system writes them, are believed.",
  },
  githubPublish: {
    ...names("github-publish"),
    kind: onOff(),
    fallback: () => true,
    summary: "Publish the node itself in the registry, if it has an address that others can reach.",
  },
  githubLocalAddresses: {
    ...names("github-local-addresses"),
    kind: onOff(),
    fallback: () => false,
    summary: "Also publish and believe addresses of this machine and of private networks.",
  },
  githubCleanup: {
    ...names("github-cleanup"),
    kind: onOff(),
    fallback: () => false,
    summary: "Delete expired records of other nodes from the registry.",
  },
};
