/**
 * The environment variables of the Python system that mean something here, as data.
 *
 * They count less than `MCPP_*` variables and more than the file. Which of them there were, and how each was read, is
 * in contract.md 7.1 and 8.1 to 8.3. What a value means is read as it was there; the setting's own kind then checks
 * it, so what was unsafe there (any CORS origin, any host, a short token) is an error that says what is allowed.
 */
import type { Environment } from "./environment.ts";
import type { SettingName } from "./settings/index.ts";

/** Reads a variable of a rule by the name it has there. @returns undefined if it is unset or empty */
export type Lookup = (name: string) => string | undefined;

/** How a setting is read from old variables. */
export interface AliasRule {
  /** The variables that it reads, the decisive one first, each without a prefix if `prefixed`. */
  readonly variables: readonly string[];
  /** Whether the variables have one of {@link PREFIXES}. */
  readonly prefixed: boolean;
  readonly setting: SettingName;
  /** How the value is read, for people. */
  readonly reading: string;
  /** What the setting's kind is given; undefined if the variables say nothing about it. */
  read(lookup: Lookup): unknown;
}

/** A value that came from old variables. */
export interface AliasValue {
  readonly raw: unknown;
  /** The variables that were read, as they are set. */
  readonly variables: readonly string[];
}

/** The prefixes of the two packages, in the order in which they count. */
export const PREFIXES: readonly string[] = ["IPFS_ACCELERATE_PY_", "IPFS_DATASETS_PY_"];

/** Where the old service listened if no port was named. */
const OLD_PORT = "9710";
const MAX_PORT = 65_535;
/** The repository of the old registry, `owner/name`. */
const OLD_REGISTRY = "IPFS_ACCELERATE_GITHUB_REPO";
const TRUE_WORDS: ReadonlySet<string> = new Set(["1", "true", "yes", "y", "on"]);
/** `on` was no such word for the variables of the HTTP server. */
const SERVER_TRUE_WORDS: ReadonlySet<string> = new Set(["1", "true", "yes"]);
const OFF_WORDS: ReadonlySet<string> = new Set(["0", "false", "no", "off"]);

/** Whether a switch was on, as the old service decided it: a few words, and every other value is off. */
export function oldSwitch(value: string): boolean {
  return TRUE_WORDS.has(word(value));
}

/** Every rule, in the order of the documentation. */
export const ALIAS_RULES: readonly AliasRule[] = [
  plain("MCP_SERVER_NAME", "name"),
  plain("MCP_HOST", "host", "as it is; only loopback is allowed"),
  plain("MCP_PORT", "port"),
  plain("MCP_MOUNT_PATH", "mountPath"),
  whenTrue("MCP_DEBUG", "logLevel", "debug", "1, true or yes: debug; anything else says nothing"),
  whenTrue("MCP_DISABLE_P2P", "p2p", false, "1, true or yes: off; anything else says nothing"),
  whenTrue("MCP_DISABLE_P2P", "p2pTools", false, "1, true or yes: off; anything else says nothing"),
  plain("MCP_CORS_ORIGINS", "corsOrigins", "separated by commas; `*` is not allowed"),
  {
    ...ofService(["MCP_P2P_SERVICE"], "p2p"),
    reading: "1, true, yes, y or on: on; anything else: off",
    read: (lookup) => map(lookup("MCP_P2P_SERVICE"), oldSwitch),
  },
  {
    ...ofService(["TASK_P2P_LISTEN_PORT", "TASK_P2P_LISTEN_HOST"], "listen"),
    reading: `together one multiaddr; the port is ${OLD_PORT} and the host 127.0.0.1 if only the other is set`,
    read: readListen,
  },
  { ...ofService(["TASK_P2P_TOKEN"], "token"), reading: "as it is", read: (get) => get("TASK_P2P_TOKEN") },
  {
    ...ofService(["TASK_P2P_ANNOUNCE_FILE"], "announceFile"),
    reading: "a path; 0, false, no or off: off",
    read: (lookup) => map(lookup("TASK_P2P_ANNOUNCE_FILE"), (path) => (isOff(path) ? "off" : path)),
  },
  {
    ...ofService(["TASK_P2P_BOOTSTRAP_PEERS", "TASK_P2P_BOOTSTRAP_DIAL"], "bootstrap"),
    reading: "separated by commas; 0, false, no or off, or dialling switched off: none",
    read: readBootstrap,
  },
  plain(OLD_REGISTRY, "githubRegistry"),
  {
    ...plain("GH_TOKEN", "githubToken"),
    variables: ["GH_TOKEN", "GITHUB_TOKEN"],
    reading: `the first that is set, only beside \`${OLD_REGISTRY}\``,
    // Many programs use these two: without the old registry they say nothing about ours.
    read: (get) => (get(OLD_REGISTRY) === undefined ? undefined : (get("GH_TOKEN") ?? get("GITHUB_TOKEN"))),
  },
  {
    variables: ["CACHE_BOOTSTRAP_PEERS"],
    prefixed: false,
    setting: "bootstrap",
    reading: "separated by commas; counts only where the one above says nothing",
    read: (lookup) => map(lookup("CACHE_BOOTSTRAP_PEERS"), splitPeers),
  },
  {
    variables: ["IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP"],
    prefixed: false,
    setting: "publicBootstrap",
    reading: "1, true, yes or on: on; anything else: off",
    read: (lookup) => map(lookup("IPFS_ACCELERATE_ENABLE_PUBLIC_BOOTSTRAP"), oldSwitch),
  },
  {
    ...ofService(["TASK_P2P_DNSADDR_RESOLVE"], "dnsaddr"),
    reading: "0, false, no or off: off; anything else: on",
    read: (lookup) => map(lookup("TASK_P2P_DNSADDR_RESOLVE"), (value) => !isOff(value)),
  },
  plain("IPFS_ACCELERATE_P2P_CACHE_DIR", "peerFolder"),
  {
    ...ofService(["TASK_P2P_MDNS"], "mdns"),
    reading: "1, true, yes, y or on: auto; anything else: off",
    read: (lookup) => map(lookup("TASK_P2P_MDNS"), (value) => (oldSwitch(value) ? "auto" : "off")),
  },
  {
    ...ofService(["TASK_P2P_DHT"], "dht"),
    reading: "1, true, yes, y or on: public, as it was; anything else: off",
    read: (lookup) => map(lookup("TASK_P2P_DHT"), (value) => (oldSwitch(value) ? "public" : "off")),
  },
  {
    ...ofService(["TASK_P2P_RENDEZVOUS"], "rendezvousServer"),
    reading: "1, true, yes, y or on: on; anything else: off",
    read: (lookup) => map(lookup("TASK_P2P_RENDEZVOUS"), oldSwitch),
  },
  {
    ...ofService(["TASK_P2P_RENDEZVOUS_NS"], "namespace"),
    reading: "as it is",
    read: (get) => get("TASK_P2P_RENDEZVOUS_NS"),
  },
  { ...ofService(["TASK_WORKER_ID"], "workerId"), reading: "as it is", read: (get) => get("TASK_WORKER_ID") },
  {
    ...ofService(["TASK_WORKER_MESH"], "workFor"),
    reading: "1, true, yes, y or on: discovered; anything else: none",
    read: (lookup) => map(lookup("TASK_WORKER_MESH"), (value) => (oldSwitch(value) ? ["discovered"] : [])),
  },
];

/** The value that old variables give a setting; undefined if none does. */
export function aliasValue(setting: SettingName, env: Environment): AliasValue | undefined {
  for (const rule of ALIAS_RULES) {
    if (rule.setting !== setting) continue;
    const used = new Set<string>();
    const raw = rule.read((name) => {
      const found = variableOf(rule, name, env);
      if (found !== undefined) used.add(found);
      return found === undefined ? undefined : env[found];
    });
    if (raw !== undefined) return { raw, variables: [...used] };
  }
  return undefined;
}

function variableOf({ prefixed }: AliasRule, name: string, env: Environment): string | undefined {
  const names = prefixed ? PREFIXES.map((prefix) => prefix + name) : [name];
  return names.find((candidate) => env[candidate]);
}

function plain(variable: string, setting: SettingName, reading = "as it is"): AliasRule {
  return { variables: [variable], prefixed: false, setting, reading, read: (lookup) => lookup(variable) };
}

function whenTrue(variable: string, setting: SettingName, value: unknown, reading: string): AliasRule {
  const read = (lookup: Lookup): unknown =>
    SERVER_TRUE_WORDS.has(word(lookup(variable) ?? "")) ? value : undefined;
  return { variables: [variable], prefixed: false, setting, reading, read };
}

function ofService(
  variables: readonly string[],
  setting: SettingName,
): Pick<AliasRule, "variables" | "prefixed" | "setting"> {
  return { variables, prefixed: true, setting };
}

function readListen(lookup: Lookup): readonly string[] | undefined {
  const host = lookup("TASK_P2P_LISTEN_HOST");
  const port = lookup("TASK_P2P_LISTEN_PORT");
  if (host === undefined && port === undefined) return undefined;
  return [multiaddrOf(host ?? "127.0.0.1", port ?? OLD_PORT)];
}

/** A multiaddr; for a port that is none something that is no multiaddr either, which the setting's kind refuses. */
function multiaddrOf(host: string, port: string): string {
  if (!/^\d{1,5}$/.test(port) || Number(port) > MAX_PORT) return `${host}:${port}`;
  const name = host.replace(/^\[(.*)\]$/, "$1");
  if (name.includes(":")) return `/ip6/${name}/tcp/${port}`;
  return /^[\d.]+$/.test(name) ? `/ip4/${name}/tcp/${port}` : `/dns4/${name}/tcp/${port}`;
}

function readBootstrap(lookup: Lookup): readonly string[] | undefined {
  const peers = lookup("TASK_P2P_BOOTSTRAP_PEERS");
  if (peers === undefined) return undefined;
  const dial = lookup("TASK_P2P_BOOTSTRAP_DIAL");
  if (isOff(peers) || (dial !== undefined && isOff(dial))) return [];
  return splitPeers(peers);
}

function splitPeers(peers: string): readonly string[] {
  return peers
    .split(",")
    .map((peer) => peer.trim())
    .filter((peer) => peer !== "");
}

function isOff(value: string): boolean {
  return OFF_WORDS.has(word(value));
}

function word(value: string): string {
  return value.trim().toLowerCase();
}

function map<T>(value: string | undefined, convert: (value: string) => T): T | undefined {
  return value === undefined ? undefined : convert(value);
}
