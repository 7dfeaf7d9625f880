/** Settings of the workflow scheduler, and of where it finds workflows. */
import { choice, duration, type Kind, list, text } from "../kind.ts";
import { names, type SettingTable } from "./setting.ts";

const MIN_INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 86_400_000;
const FIVE_MINUTES_MS = 300_000;

const source: Kind<string> = text(
  "owner/name[=folder]",
  "a repository such as my-org/app, or my-org/app=/srv/app for a checkout of it (an absolute path)",
  /^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/(?!\.{1,2}(=|$))[\w.-]{1,100}(=\/.+)?$/,
);

/** To whom workflow tasks go, and which workflows of GitHub become tasks. */
export const WORKFLOW: Pick<SettingTable, "assignment" | "githubWorkflows" | "githubWorkflowsMs"> = {
  assignment: {
    ...names("assignment"),
    kind: choice("hash", "legacy"),
    fallback: () => "hash",
    summary:
      "How the owner of a workflow task is chosen: hash agrees among all nodes; legacy is the Python system's rule. All nodes need the same.",
  },
  githubWorkflows: {
    ...names("github-workflows"),
    kind: list(source),
    fallback: () => [],
    fallbackText: "none: no repository is looked at",
    summary:
      "Repositories whose GitHub workflows with a tag for the peer-to-peer network become workflow tasks; read from a checkout if a folder is given, else through the API.",
  },
  githubWorkflowsMs: {
    ...names("github-workflows-interval"),
    kind: duration(MIN_INTERVAL_MS, MAX_INTERVAL_MS),
    fallback: () => FIVE_MINUTES_MS,
    summary: "How often those repositories are looked at.",
  },
};
