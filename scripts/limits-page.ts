/** The page about limits, made from their tables. */
import { markdownTable } from "../src/cli/reference.ts";
import { HTTP_LIMITS } from "../src/transport/http/limits.ts";
import { effectiveLimits, limitText } from "../src/node/limits.ts";
import { MAX_KNOWN_PEERS, MAX_PEER_ADDRESSES } from "../src/peer/table.ts";
import { MAX_IDENTITIES, PEER_TIMEOUT_MS } from "../src/workflow/presence.ts";

const NOTICE = "<!-- Made by scripts/docs.ts from the tables of limits; a test compares it. -->";
const HEADER = ["Limit", "Default", "What it bounds", "Why this much"];

/** The whole page, in Markdown. */
export function limitsPage(): string {
  const limits = effectiveLimits();
  const groups = [...new Set(limits.map(({ group }) => group))];
  const sections = groups.flatMap((group) => [
    `## ${group}`,
    markdownTable(
      HEADER,
      limits
        .filter((limit) => limit.group === group)
        .map(({ name, shown, what, why, setting }) => [
          setting === undefined ? code(name) : `${code(name)} (${code(setting)})`,
          shown,
          what,
          why,
        ]),
    ),
  ]);
  return `${[
    "# Limits",
    NOTICE,
    "What a node allows itself and others. A flag in brackets changes a limit; the others are fixed. `mcpp config show` prints those in force. [Protect a node](../how-to/protect-a-node.md) says what happens beyond them.",
    "A _stranger_ is a peer that may only ask for status: it is on no allow-list and has not proven the shared token. Limits of a peer count over all its connections.",
    ...sections,
    "## What is known about peers",
    markdownTable(HEADER, knownRows()),
    "## HTTP",
    markdownTable(
      HEADER,
      Object.entries(HTTP_LIMITS).map(([name, { value, unit, what, why }]) => [
        code(name),
        limitText(value, unit),
        what,
        why,
      ]),
    ),
  ].join("\n\n")}\n`;
}

function knownRows(): readonly (readonly string[])[] {
  return [
    [
      "peers",
      limitText(MAX_KNOWN_PEERS, "count"),
      "Peers in the table; the longest unheard that is not connected is forgotten first.",
      "Two kilobytes each.",
    ],
    [
      "addresses",
      limitText(MAX_PEER_ADDRESSES, "count"),
      "Addresses kept of one peer, the newest.",
      "A machine has a few interfaces, and two protocols on each.",
    ],
    [
      "identities",
      limitText(MAX_IDENTITIES, "count"),
      "Workers and nodes whose heartbeats are remembered.",
      "Names in heartbeats are anybody's; a thousand are a large group.",
    ],
    [
      "presence",
      limitText(PEER_TIMEOUT_MS, "ms"),
      "How long after its last heartbeat a worker counts as present.",
      "As the Python system has it.",
    ],
  ];
}

function code(text: string): string {
  return `\`${text}\``;
}
