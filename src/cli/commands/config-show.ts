import { targetName } from "../../client/target-name.ts";
import {
  isDatabaseUrl,
  type LoadedConfig,
  loadConfig,
  NODE_SETTING,
  type Setting,
  type SettingName,
  SETTING_NAMES,
  SETTINGS,
  shownStore,
} from "../../config.ts";
import type { Command } from "../command.ts";
import { table } from "../table.ts";

/** Stands for a secret that is set. */
const HIDDEN = "(hidden)";

/** Shows the configuration. */
export const configShow: Command = {
  name: "config show",
  summary: "Show every setting, its value and where that is from, and every limit in force.",
  description:
    "Takes the same flags as mcpp serve, so it shows what they would do. Secrets are not shown: of a mounted server only its program or host.",
  args: [],
  options: [],
  settings: SETTING_NAMES,
  client: true,
  examples: [
    { line: "mcpp config show", does: "what is in force" },
    { line: "MCPP_PORT=9000 mcpp config show --json", does: "for programs" },
  ],
  json: '{"ok":true,"file":string|null,"settings":{[name]:{"value":any,"origin":string,"flag":string|null,"env":string,"key":string|null}},"limits":{[name]:{"value":number,"unit":string}}}',

  async run({ flags, out }) {
    const loaded = loadConfig({ flags });
    for (const warning of loaded.warnings) out.warn(warning);
    const rows = [...SETTING_NAMES.map((name) => row(loaded, name)), nodeRow(loaded)];
    const lines = rows.map(({ name, shown, origin }) => [name, shown, origin]);
    const settings = Object.fromEntries(
      rows.map(({ name, value, origin, flag, env, key }) => [name, { value, origin, flag, env, key }]),
    );
    out.note(`configuration file: ${loaded.file ?? "none"}`);
    const { effectiveLimits } = await import("../../node/limits.ts");
    const limits = effectiveLimits(loaded.config);
    const shown = limits.map(({ name, shown: value, setting = "fixed" }) => [
      `limit ${name}`,
      value,
      setting,
    ]);
    out.result(table([...lines, ...shown], out.isTerminal ? ["SETTING", "VALUE", "FROM"] : undefined), {
      ok: true,
      file: loaded.file ?? null,
      settings,
      limits: Object.fromEntries(limits.map(({ name, value, unit }) => [name, { value, unit }])),
    });
  },
};

interface Row {
  readonly name: string;
  readonly value: unknown;
  /** The value for people. */
  readonly shown: string;
  readonly origin: string;
  readonly flag: string | null;
  readonly env: string;
  readonly key: string | null;
}

function row({ config, origins }: LoadedConfig, name: SettingName): Row {
  return makeRow(name, SETTINGS[name], config[name], origins);
}

function nodeRow({ node, origins }: LoadedConfig): Row {
  return makeRow("node", NODE_SETTING, node, origins);
}

function makeRow(
  name: string,
  setting: Setting<unknown>,
  raw: unknown,
  origins: LoadedConfig["origins"],
): Row {
  const { flag = null, env, key = null, secret = false, kind } = setting;
  const origin = origins.get(name) ?? "default";
  if (raw === undefined) return { name, value: null, shown: "-", origin, flag, env, key };
  if (secret) return { name, value: HIDDEN, shown: HIDDEN, origin, flag, env, key };
  const value = redacted(raw);
  return { name, value, shown: kind.show(value) || "-", origin, flag, env, key };
}

/** Targets and URLs may carry secrets in their arguments, user, query or fragment: those are not shown. */
function redacted(value: unknown): unknown {
  if (typeof value === "string" && isDatabaseUrl(value)) return shownStore(value);
  if (typeof value === "string") return URL.canParse(value) ? redactedUrl(value) : value;
  if (Array.isArray(value)) return value.map(redacted);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [
        key,
        key === "target" && typeof member === "string" ? targetName(member) : redacted(member),
      ]),
    );
  }
  return value;
}

function redactedUrl(text: string): string {
  const { protocol, username, password, search, hash } = new URL(text);
  if (!/^https?:$/.test(protocol)) return text;
  const open = text.replace(/[?#].*$/s, "");
  const plain = username + password === "" ? open : open.replace(/^(https?:\/\/)[^/]*@/i, `$1${HIDDEN}@`);
  return search + hash === "" ? plain : `${plain}?${HIDDEN}`;
}
