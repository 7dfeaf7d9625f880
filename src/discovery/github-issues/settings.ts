/** What a registry is told. */

/** Where the token for the API is from. */
export type TokenSource =
  | { readonly from: "none" }
  | { readonly from: "given"; readonly token: string }
  /** Asks the GitHub command line tool, `gh auth token`, with the variables in `env` and no others. */
  | { readonly from: "gh"; readonly env: Readonly<Record<string, string>> };

/** A registry on GitHub Issues. */
export interface GithubIssuesConfig {
  /** `owner/name`. */
  readonly repository: string;
  /** Title of the issue, and the word that its comments begin with: letters, digits and `. _ -`. */
  readonly title: string;
  /** Base URL of the REST API, without a slash at its end. */
  readonly api: string;
  readonly token: TokenSource;
  /** How long a record of this node is valid. */
  readonly ttlMs: number;
  /** The least time between two readings. */
  readonly refreshMs: number;
  /** Logins whose comments count; `*` is everybody. Empty: members of the repository and who this node writes as. */
  readonly authors: readonly string[];
  /** Logins whose unsigned records, as the Python system writes them, count. */
  readonly oldAuthors: readonly string[];
  /** Whether this node's own record is published. */
  readonly publish: boolean;
  /** Whether addresses of loopback and private networks are published and believed. */
  readonly localAddresses: boolean;
  /** Whether expired records of others are deleted. */
  readonly cleanup: boolean;
}
