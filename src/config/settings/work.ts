/** Settings of the workers and of mounted servers. */
import { BadValue, duration, integer, type Kind, list, named, text } from "../kind.ts";
import type { MountConfig, TypeLimit } from "../node-config.ts";
import { queueName } from "./addresses.ts";
import { names, none, type SettingTable } from "./setting.ts";

/** More at once than this on one event loop only makes all of them slow. */
const MAX_WORKERS = 256;
/** The limits of a lease, as the queue has them (task/queue.ts), without loading it. */
const MIN_LEASE_MS = 1000;
const MAX_LEASE_MS = 3_600_000;
/** Names of mounted servers: they become prefixes of tool names. */
const MOUNT_NAME = /^[a-z][a-z0-9-]{0,31}$/;
const mounts: Kind<readonly MountConfig[]> = named(
  MOUNT_NAME,
  "name=target, the name of lower-case letters, digits and hyphens, beginning with a letter, at most 32; the target a command line or an http(s) URL",
  (name, target) => ({ name, target }),
);

const LIMITS_ALLOWED = `type=n, the type any name of a task type, n a whole number from 1 to ${MAX_WORKERS}`;
const namedLimits: Kind<readonly TypeLimit[]> = named(/^[^\s=]{1,256}$/, LIMITS_ALLOWED, (name, target) => {
  if (!/^\d{1,3}$/.test(target) || Number(target) < 1 || Number(target) > MAX_WORKERS)
    throw new BadValue(`must be ${LIMITS_ALLOWED}, not what '${name}' has`);
  return { name, target };
});
/** Several may also stand in one text, with commas between them, and a table has numbers. */
const typeLimits: Kind<readonly TypeLimit[]> = {
  ...namedLimits,
  placeholder: "type=n",
  read: (raw, place) => namedLimits.read(separated(raw), place),
};

function separated(raw: unknown): unknown {
  if (typeof raw === "string") return raw.split(",").map((part) => part.trim());
  if (Array.isArray(raw)) return raw.flatMap(separated);
  if (typeof raw !== "object" || raw === null) return raw;
  return Object.fromEntries(
    Object.entries(raw).map(([name, n]) => [name, typeof n === "number" ? String(n) : n]),
  );
}

/** What the node works on, and the servers it mounts. */
export const WORK: Pick<
  SettingTable,
  "workers" | "minWorkers" | "concurrency" | "workFor" | "workerId" | "leaseMs" | "mounts"
> = {
  workers: {
    ...names("workers"),
    kind: integer("n", 0, MAX_WORKERS),
    fallback: () => 4,
    summary: "How many tasks the node works on at once; 0 does not work.",
  },
  minWorkers: {
    ...names("workers-min"),
    kind: integer("n", 1, MAX_WORKERS),
    fallback: none,
    fallbackText: "as many as workers, always",
    summary: "With how many at once it begins; it does more, up to workers, only while work waits.",
  },
  concurrency: {
    ...names("concurrency"),
    kind: typeLimits,
    fallback: () => [],
    fallbackText: "none",
    summary: "How many tasks of a type at once, within workers, such as docker.execute=2.",
  },
  workFor: {
    ...names("work-for"),
    kind: list(queueName),
    fallback: () => [],
    fallbackText: "only this node's own queue",
    summary: "Other nodes whose queues this node works for; discovered means all that it finds.",
  },
  workerId: {
    ...names("worker-id"),
    kind: text("id", "1 to 128 characters without white space", /^\S{1,128}$/),
    fallback: none,
    fallbackText: "made from the host name and the peer id",
    summary: "Name under which the node claims tasks.",
  },
  leaseMs: {
    ...names("lease"),
    kind: duration(MIN_LEASE_MS, MAX_LEASE_MS),
    fallback: () => 30_000,
    summary: "How long a claimed task stays the worker's without a sign of life.",
  },
  mounts: {
    ...names("mount"),
    env: "MCPP_MOUNTS",
    key: "mounts",
    kind: mounts,
    fallback: () => [],
    fallbackText: "none",
    summary:
      "MCP servers whose tools the node offers as name__tool: a command line or a URL. In the file, a table.",
  },
};
