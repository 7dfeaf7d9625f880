/**
 * Every setting of a node, as data: its names, its kind, its default and what it does.
 *
 * The flags, the environment variables, the file's keys, `--help`, `mcpp config show` and the reference page come from here.
 */
import { CONTAINERS } from "./containers.ts";
import { DISCOVERY } from "./discovery.ts";
import { GITHUB } from "./github.ts";
import { HTTP } from "./http.ts";
import { INFERENCE } from "./inference.ts";
import { P2P } from "./p2p.ts";
import { REACH } from "./reach.ts";
import { RENDEZVOUS } from "./rendezvous.ts";
import { PROTECTION } from "./protection.ts";
import { SERVER } from "./server.ts";
import type { Setting, SettingName, SettingTable } from "./setting.ts";
import { TOOLS } from "./tools.ts";
import { WORK } from "./work.ts";
import { WORKFLOW } from "./workflow.ts";

export { type Setting, type SettingName, type SettingTable, type Surroundings, xdg } from "./setting.ts";

/** Every setting, in the order in which they are shown. */
export const SETTINGS: SettingTable = {
  ...SERVER,
  ...HTTP,
  ...P2P,
  ...REACH,
  ...PROTECTION,
  ...DISCOVERY,
  ...RENDEZVOUS,
  ...GITHUB,
  ...WORK,
  ...INFERENCE,
  ...WORKFLOW,
  ...CONTAINERS,
  ...TOOLS,
};

/** The names of all settings, in the order of {@link SETTINGS}. */
export const SETTING_NAMES: readonly SettingName[] = Object.keys(SETTINGS).filter(isSettingName);

/** Whether `name` is a setting. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** The default of a setting in words. */
export function fallbackText(name: SettingName): string {
  const setting: Setting<unknown> = SETTINGS[name];
  return setting.fallbackText ?? setting.kind.show(setting.fallback({ env: {}, dataDir: "" }));
}
