/** What a setting is. */
import { homedir } from "node:os";
import { join } from "node:path";
import type { Kind } from "../kind.ts";
import type { NodeConfig } from "../node-config.ts";

/** What defaults may depend on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The data folder in force. */
  readonly dataDir: string;
}

/** One setting. */
export interface Setting<T> {
  /** Without the hyphens. Absent for what must not stand on a command line, where others can read it. */
  readonly flag?: string | undefined;
  readonly env: string;
  /** Key in the file. Absent for what must not stand there. */
  readonly key?: string | undefined;
  readonly kind: Kind<T>;
  readonly fallback: (around: Surroundings) => T;
  /** The default in words, where the value itself would not tell. */
  readonly fallbackText?: string | undefined;
  /** What it does: one sentence. */
  readonly summary: string;
  readonly secret?: boolean | undefined;
}

/** The name of a setting. */
export type SettingName = keyof NodeConfig;

/** All settings, by the name they have in {@link NodeConfig}. */
export type SettingTable = { readonly [K in SettingName]: Setting<NodeConfig[K]> };

/** Names in all three places, from one: `data-dir` gives `--data-dir`, `MCPP_DATA_DIR` and `data_dir`. */
export function names(flag: string): { readonly flag: string; readonly env: string; readonly key: string } {
  const key = flag.replaceAll("-", "_");
  return { flag, env: `MCPP_${key.toUpperCase()}`, key };
}

/** No value. */
export const none = (): undefined => undefined;

/** A folder after the XDG Base Directory specification, which has relative values ignored. */
export function xdg(env: Surroundings["env"], variable: string, fallback: string): string {
  const value = env[variable];
  return value?.startsWith("/") ? value : join(env["HOME"] || homedir(), fallback);
}
