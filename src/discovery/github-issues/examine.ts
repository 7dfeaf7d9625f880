/** How this node stands with its registry on GitHub Issues, for people. */
import { errorFacts } from "../../errors.ts";
import { type Finding, fine, note, problem } from "../../peer/finding.ts";

/** What is known of it. */
export interface RegistryState {
  readonly repository: string;
  readonly title: string;
  /** Whether this node is to be published. */
  readonly publish: boolean;
  /** How long GitHub must not be asked; 0 if it may be. */
  readonly waitMs: number;
  /** The issue that counts; absent if none is known. */
  readonly issue: number | undefined;
  /** Peers that are named there. */
  readonly records: number;
  /** Why it was not read the last time, and not written; undefined if it was, or was not tried. */
  readonly readFailure: unknown;
  readonly writeFailure: unknown;
  /** When the own record is renewed; absent if there is none. */
  readonly renewInMs: number | undefined;
  /** Whether there is an address to publish. */
  readonly hasAddress: boolean;
}

/** The findings about it. */
export function registryFindings(state: RegistryState): readonly Finding[] {
  const { repository, title, issue, records, readFailure, waitMs } = state;
  const place = issue === undefined ? `no issue '${title}' in ${repository}` : `${repository} issue ${issue}`;
  const findings: Finding[] = [];
  if (readFailure !== undefined) findings.push(failed("registry-unread", "cannot be read", readFailure));
  else findings.push(fine("registry-read", `github-issues: ${place}; it names ${records} peers`));
  if (waitMs > 0)
    findings.push(
      note("registry-waits", `github-issues: GitHub is not asked for another ${Math.ceil(waitMs / 1000)} s`),
    );
  return [...findings, ownRecord(state)];
}

function ownRecord({ publish, writeFailure, renewInMs, hasAddress }: RegistryState): Finding {
  if (!publish)
    return note("registry-only-read", "github-issues: this node is not published (--no-github-publish)");
  if (writeFailure !== undefined)
    return failed("registry-unwritten", "has no record of this node", writeFailure);
  if (renewInMs !== undefined)
    return fine(
      "registry-published",
      `github-issues: this node is published; renewed in ${Math.round(renewInMs / 1000)} s`,
    );
  return hasAddress
    ? note("registry-not-yet", "github-issues: this node is not published yet")
    : note(
        "registry-no-address",
        "github-issues: this node has no public address to publish",
        "mcpp serve --announce <public multiaddr>, --relay-via <multiaddr>, or --github-local-addresses",
      );
}

function failed(code: string, what: string, error: unknown): Finding {
  const { message, hint } = errorFacts(error);
  return problem(code, `github-issues: the registry ${what}: ${message}`, hint ?? "mcpp config show");
}
