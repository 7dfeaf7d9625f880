/** The configuration file: TOML, all of whose keys are known. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, TomlError } from "smol-toml";
import { ConfigError } from "../errors.ts";
import { nearMiss } from "./near-miss.ts";
import { type Surroundings, xdg } from "./settings/index.ts";

/** What a configuration file says, unread. */
export interface ConfigFile {
  /** Absolute path. */
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Where the configuration file is looked for if none is named. */
export function defaultConfigPath(env: Surroundings["env"]): string {
  return join(xdg(env, "XDG_CONFIG_HOME", ".config"), "mcplusplus", "config.toml");
}

/**
 * Reads the configuration file.
 *
 * @param named - the path that was asked for, with where; absent: the default one, which need not exist
 * @param keys - all keys that it may have
 * @returns undefined if none was named and the default one does not exist
 * @throws ConfigError if it cannot be read, is no TOML, or has a key that is no setting
 */
export function readConfigFile(
  named: { readonly path: string; readonly origin: string } | undefined,
  env: Surroundings["env"],
  keys: readonly string[],
): ConfigFile | undefined {
  const path = resolve(named?.path ?? defaultConfigPath(env));
  const text = readText(path, named?.origin);
  if (text === undefined) return undefined;
  const values = parseToml(text, path);
  for (const key of Object.keys(values)) {
    if (keys.includes(key)) continue;
    const near = nearMiss(key, keys);
    const hint = near === undefined ? "`mcpp config show` lists all settings" : undefined;
    throw new ConfigError(
      `key '${key}'`,
      path,
      `is not a setting${near ? `; did you mean '${near}'?` : ""}`,
      { hint },
    );
  }
  return { path, values };
}

/** The folder that relative paths in `file` start from. */
export function folderOf(file: ConfigFile): string {
  return dirname(file.path);
}

function readText(path: string, origin: string | undefined): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && origin === undefined) return undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError("configuration file", origin ?? path, `cannot be read: ${why}`, { cause: error });
  }
}

function parseToml(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    // Without the Temporal API, which the oldest Node that is supported lacks.
    return parse(text, { useLegacyDate: true, unsafeKeyBehaviour: "throw" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [reason] = error.message.split("\n");
    throw new ConfigError(
      "configuration file",
      `${path}:${error.line}:${error.column}`,
      `is not TOML: ${reason}`,
      { cause: error },
    );
  }
}
