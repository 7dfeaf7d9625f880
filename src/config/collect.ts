/** A configuration from its single settings. */
import type { NodeConfig } from "./node-config.ts";
import { SETTING_NAMES, type SettingName } from "./settings/index.ts";

/** Gives the value of one setting. */
type ValueOf = <K extends SettingName>(name: K) => NodeConfig[K];

/** A configuration that is being put together. */
type Draft = { -readonly [K in SettingName]?: NodeConfig[K] };

/** The configuration that has the values of `value`. */
export function collect(value: ValueOf): NodeConfig {
  const draft: Draft = {};
  for (const name of SETTING_NAMES) put(draft, name, value(name));
  if (!isComplete(draft)) throw new Error("a setting is not in the table of settings");
  return draft;
}

function put<K extends SettingName>(draft: Draft, name: K, value: NodeConfig[K]): void {
  draft[name] = value;
}

function isComplete(draft: Draft): draft is NodeConfig {
  return SETTING_NAMES.every((name) => Object.hasOwn(draft, name));
}
