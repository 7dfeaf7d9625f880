/** Settings of the node as a whole. */
import { join } from "node:path";
import { choice, duration, path, text } from "../kind.ts";
import { storeKind } from "../store-kind.ts";
import { names, type SettingTable, xdg } from "./setting.ts";

/** A host that stops a service kills it after a while; ten minutes is beyond any of them. */
const MAX_DRAIN_MS = 600_000;
const MIN_RETENTION_MS = 60_000;
const MAX_RETENTION_MS = 3650 * 86_400_000;
const WEEK_MS = 7 * 86_400_000;

/** The node as a whole: where it keeps what, and how it ends. */
export const SERVER: Pick<
  SettingTable,
  "name" | "dataDir" | "database" | "store" | "retentionMs" | "drainMs" | "logLevel"
> = {
  name: {
    ...names("name"),
    kind: text("name", "a name of 1 to 128 characters", /^\S(.{0,126}\S)?$/),
    fallback: () => "mcplusplus",
    summary: "Name that the MCP server gives itself.",
  },
  dataDir: {
    ...names("data-dir"),
    kind: path(),
    fallback: ({ env }) => join(xdg(env, "XDG_DATA_HOME", ".local/share"), "mcplusplus"),
    fallbackText: "$XDG_DATA_HOME/mcplusplus, or ~/.local/share/mcplusplus",
    summary: "Folder of the node's identity, queue and announcement. Each node needs its own.",
  },
  database: {
    ...names("database"),
    kind: path(),
    fallback: ({ dataDir }) => join(dataDir, "queue.db"),
    fallbackText: "queue.db in the data folder",
    summary:
      "File of the queue. Several nodes of one machine may share one: each with a data folder of its own.",
  },
  store: {
    ...names("store"),
    kind: storeKind(),
    fallback: () => "sqlite",
    summary:
      "Where the queue is kept: the file, memory (forgets everything when the node ends), or a PostgreSQL database that any number of nodes share.",
  },
  retentionMs: {
    ...names("retention"),
    kind: duration(MIN_RETENTION_MS, MAX_RETENTION_MS),
    fallback: () => WEEK_MS,
    summary: "How long finished tasks are kept.",
  },
  drainMs: {
    ...names("drain"),
    kind: duration(0, MAX_DRAIN_MS),
    fallback: () => 10_000,
    summary: "How long running tasks may go on after the node was asked to end; then they are handed back.",
  },
  logLevel: {
    ...names("log-level"),
    kind: choice("debug", "info", "warn", "error", "silent"),
    fallback: () => "warn",
    summary: "Least level of the log lines written to standard error, as JSON.",
  },
};
