/**
 * The configuration of a node: flags over environment over the Python system's variables over file over defaults, each
 * value checked and its origin kept.
 *
 * What can be set is data, in config/settings/. Nothing outside this room reads the environment.
 */
import { readFileSync, statSync } from "node:fs";
import { aliasValue } from "./config/aliases.ts";
import {
  childEnvironment,
  type Environment,
  ownSlot,
  processEnvironment,
  slotEnvironment,
  strangeVariables,
  wantsColor,
} from "./config/environment.ts";
import { type ConfigFile, folderOf, readConfigFile } from "./config/file.ts";
import { BadValue, type Kind, text } from "./config/kind.ts";
import type { MountConfig, NodeConfig, StoreName } from "./config/node-config.ts";
import { collect } from "./config/collect.ts";
import {
  fallbackText,
  type Setting,
  SETTING_NAMES,
  type SettingName,
  SETTINGS,
} from "./config/settings/index.ts";
import { ConfigError } from "./errors.ts";

export type { Environment, Kind, MountConfig, NodeConfig, Setting, SettingName, StoreName };
export { childEnvironment, fallbackText, ownSlot, SETTING_NAMES, SETTINGS, slotEnvironment, wantsColor };
export { ALIAS_RULES, PREFIXES } from "./config/aliases.ts";
export { durationText, parseDuration } from "./config/kind.ts";
export { isDatabaseUrl, shownStore } from "./config/store-kind.ts";
export { UNUSED_VARIABLES } from "./config/old-variables.ts";

/** The permission bits of everybody but the owner. */
const OTHERS = 0o077;

/** Where a value may come from besides the file and the defaults. */
export interface LoadOptions {
  /** By the flag's name in camel case, as commander has them; undefined ones were not given. */
  readonly flags?: Readonly<Record<string, unknown>> | undefined;
  /** Default: the process's own. */
  readonly env?: Environment | undefined;
  /** The folder that relative paths in flags and environment start from. Default: the working folder. */
  readonly cwd?: string | undefined;
}

/** A configuration, and how it came about. */
export interface LoadedConfig {
  readonly config: NodeConfig;
  /** The node that commands talk to: a URL or multiaddr. Undefined: this machine's own. */
  readonly node: string | undefined;
  /** The configuration file that was read, if there is one. */
  readonly file: string | undefined;
  /** For each setting, where its value is from: `default`, `--port`, `MCPP_PORT`, or `/path/config.toml: port`. */
  readonly origins: ReadonlyMap<string, string>;
  /** What was odd but does no harm. */
  readonly warnings: readonly string[];
}

/** The node that commands talk to: the one setting that is not a node's own. */
export const NODE_SETTING: Setting<string | undefined> = {
  flag: "node",
  env: "MCPP_NODE",
  key: "node",
  kind: text(
    "url|multiaddr",
    "a URL such as http://127.0.0.1:8000/mcp, or a multiaddr",
    /^(https?:\/\/|\/)\S+$/,
  ),
  fallback: () => undefined,
  fallbackText: "the node of the data folder, else http://127.0.0.1:<port><mount-path>",
  summary: "Node that commands talk to.",
};

/** How another configuration file is named. */
export const FILE_SETTING: { readonly flag: string; readonly env: string } = {
  flag: "config",
  env: "MCPP_CONFIG",
};

/**
 * Reads the configuration.
 *
 * @throws ConfigError naming the setting as it was written and what is allowed
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const env = options.env ?? processEnvironment();
  const sources = openSources(options.flags ?? {}, env, options.cwd ?? process.cwd());
  const origins = new Map<string, string>();
  const replaced = new Map<string, string[]>();
  let dataDir = "";
  const value = <K extends SettingName>(name: K): NodeConfig[K] => {
    const setting: Setting<NodeConfig[K]> = SETTINGS[name];
    const found = find(sources, name, setting, () => fromAlias(sources, name, setting, replaced));
    origins.set(name, found?.origin ?? "default");
    return found ? found.value : setting.fallback({ env, dataDir });
  };
  dataDir = value("dataDir");
  const collected = collect(value);
  const config = [TOKEN, GITHUB_TOKEN, INFERENCE_KEY].reduce(
    (read, pair) => readSecret(read, pair, origins),
    collected,
  );
  const target = find(sources, "node", NODE_SETTING);
  origins.set("node", target?.origin ?? "default");
  return {
    config,
    node: target?.value,
    file: sources.file?.path,
    origins,
    warnings: [...strangeVariables(env, knownVariables()), ...aliasNotice(replaced), ...oddities(config)],
  };
}

/** The camel-case name under which commander reports the flag of a setting. */
export function flagAttribute(flag: string): string {
  return flag.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

interface Sources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Environment;
  readonly cwd: string;
  readonly file: ConfigFile | undefined;
}

interface Found<T> {
  readonly value: T;
  readonly origin: string;
}

function openSources(flags: Readonly<Record<string, unknown>>, env: Environment, cwd: string): Sources {
  const flag = flags[flagAttribute(FILE_SETTING.flag)];
  const variable = env[FILE_SETTING.env];
  const keys = [...Object.values(SETTINGS), NODE_SETTING].flatMap((setting) => setting.key ?? []);
  let named: { readonly path: string; readonly origin: string } | undefined;
  if (typeof flag === "string") named = { path: flag, origin: `--${FILE_SETTING.flag}` };
  else if (variable) named = { path: variable, origin: FILE_SETTING.env };
  return { flags, env, cwd, file: readConfigFile(named, env, keys) };
}

/**
 * The value of highest precedence; undefined if there is only the default.
 *
 * @param old - looks among the variables of the Python system
 */
function find<T>(
  sources: Sources,
  name: string,
  setting: Setting<T>,
  old: () => Found<T> | undefined = () => undefined,
): Found<T> | undefined {
  const { flags, env, cwd, file } = sources;
  const fromFlag = setting.flag === undefined ? undefined : flags[flagAttribute(setting.flag)];
  const no = fromFlag === false ? "no-" : "";
  if (fromFlag !== undefined) return check(name, setting.kind, fromFlag, `--${no}${setting.flag}`, cwd);
  // An empty variable counts as unset, as it does elsewhere: shells cannot easily unset one for a single command.
  const fromEnv = env[setting.env];
  if (fromEnv) return check(name, setting.kind, fromEnv, setting.env, cwd);
  const fromOld = old();
  if (fromOld) return fromOld;
  if (!file || setting.key === undefined) return undefined;
  const fromFile = file.values[setting.key];
  return fromFile === undefined
    ? undefined
    : check(name, setting.kind, fromFile, `${file.path}: ${setting.key}`, folderOf(file));
}

/** A value from variables of the Python system, noted in `replaced` under each variable. */
function fromAlias<T>(
  { env, cwd }: Sources,
  name: SettingName,
  setting: Setting<T>,
  replaced: Map<string, string[]>,
): Found<T> | undefined {
  const found = aliasValue(name, env);
  if (found === undefined) return undefined;
  for (const variable of found.variables)
    replaced.set(variable, [...(replaced.get(variable) ?? []), setting.env]);
  return check(name, setting.kind, found.raw, found.variables.join(" and "), cwd);
}

function aliasNotice(replaced: ReadonlyMap<string, readonly string[]>): string[] {
  if (replaced.size === 0) return [];
  const names = [...replaced].map(([variable, now]) => `${variable} (now ${now.join(" and ")})`);
  return [`variables of the Python system are in force: ${names.join(", ")}`];
}

function check<T>(name: string, kind: Kind<T>, raw: unknown, origin: string, folder: string): Found<T> {
  try {
    return { value: kind.read(raw, { folder }), origin };
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    // The value of a secret must not get into a message; what is allowed says enough.
    const isSecret = [TOKEN, GITHUB_TOKEN, INFERENCE_KEY].some(({ secret }) => secret === name);
    const why = isSecret ? `must be ${kind.allowed}` : error.message;
    throw new ConfigError(origin, undefined, why, isSecret ? {} : { cause: error });
  }
}

/** A secret that may stand in a file. */
interface SecretPair {
  readonly secret: "token" | "githubToken" | "inferenceKey";
  readonly file: "tokenFile" | "githubTokenFile" | "inferenceKeyFile";
}

const TOKEN: SecretPair = { secret: "token", file: "tokenFile" };
const GITHUB_TOKEN: SecretPair = { secret: "githubToken", file: "githubTokenFile" };
const INFERENCE_KEY: SecretPair = { secret: "inferenceKey", file: "inferenceKeyFile" };

/** Takes a secret from its file, unless the secret itself was given in a place that counts more. */
function readSecret(config: NodeConfig, pair: SecretPair, origins: Map<string, string>): NodeConfig {
  const { [pair.file]: file, [pair.secret]: given } = config;
  const setting = SETTINGS[pair.secret];
  const fileOrigin = origins.get(pair.file) ?? "default";
  if (file === undefined) return config;
  const fileNamedInEnv = fileOrigin === SETTINGS[pair.file].env;
  const outranked = fileNamedInEnv && origins.get(pair.secret) !== setting.env;
  if (given !== undefined && !fileOrigin.startsWith("--") && !outranked) {
    if (!fileNamedInEnv) return config;
    throw new ConfigError(
      `${setting.env} and ${SETTINGS[pair.file].env}`,
      undefined,
      "must be given in one of the two only",
    );
  }
  const origin = `${fileOrigin} (${file})`;
  let secret: string;
  try {
    requirePrivate(file, fileOrigin);
    secret = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(fileOrigin, undefined, `must be a file that can be read: ${why}`, {
      cause: error,
    });
  }
  origins.set(pair.secret, origin);
  return { ...config, [pair.secret]: check(pair.secret, setting.kind, secret, origin, "").value };
}

/** Whoever reads the token is trusted by every node that has it. */
function requirePrivate(file: string, origin: string): void {
  // Windows keeps no such bits.
  if (process.platform === "win32" || (statSync(file).mode & OTHERS) === 0) return;
  throw new ConfigError(origin, undefined, `names a file that others can read: ${file}`, {
    hint: `chmod 600 '${file}', and make a new token if others may have read it`,
  });
}

/** What a setting is called where it was given: `--port`, `MCPP_PORT`, `/path/config.toml: port`; by default its flag. */
export function settingName(name: SettingName, { origins }: Pick<LoadedConfig, "origins">): string {
  const origin = origins.get(name);
  const { flag, env } = SETTINGS[name];
  if (origin !== undefined && origin !== "default") return origin;
  return flag === undefined ? env : `--${flag}`;
}

function knownVariables(): string[] {
  return [...Object.values(SETTINGS).map((setting) => setting.env), NODE_SETTING.env, FILE_SETTING.env];
}

function oddities(config: NodeConfig): string[] {
  const beyond = config.listen.filter((address) => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(address));
  const open =
    config.p2p && beyond.length > 0 && config.token === undefined && config.allowPeers.length === 0;
  return open
    ? [
        `listening on ${beyond.join(", ")} without a token or allowed peers: other machines can only ask for status`,
      ]
    : [];
}
