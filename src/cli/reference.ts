/** The reference pages of commands and configuration, made from the same data as `--help`. */
import {
  ALIAS_RULES,
  fallbackText,
  FILE_SETTING,
  NODE_SETTING,
  PREFIXES,
  type Setting,
  SETTING_NAMES,
  SETTINGS,
  UNUSED_VARIABLES,
} from "../config.ts";
import type { Command } from "./command.ts";
import { EXIT_TEXTS } from "./failure.ts";

const NOTICE =
  "<!-- Made by scripts/docs.ts from the data of the commands and settings; a test compares it. -->";

/** The page about all commands, in Markdown. */
export function commandPage(commands: readonly Command[]): string {
  const codes = EXIT_TEXTS.map(([exitCode, text]) => [String(exitCode), text]);
  return page("Commands of mcpp", [
    'Results go to standard output, everything else to standard error. Every command takes `--json` (the result as one line of JSON), `--quiet` (results and errors only), `--config <path>` and `--help`. A failure with `--json` prints `{"ok":false,"error":string,"error_code":string,"retryable":boolean,"hint"?:string}`.',
    "Commands that talk to a node take `--node`; without it they talk to the node of the data folder.",
    "`NO_COLOR` turns colours off. Progress is shown on terminals only.",
    markdownTable(["Exit code", "Meaning"], codes),
    ...commands.map(commandSection),
  ]);
}

/** The page about all settings, in Markdown. */
export function configurationPage(): string {
  const rows = SETTING_NAMES.map((name) => settingRow(SETTINGS[name], fallbackText(name)));
  const header = ["Flag", "Variable", "Key in the file", "Default", "Meaning"];
  return page("Configuration", [
    "A setting is taken from the first of: the flag, the environment variable, the configuration file, the default. An empty variable counts as unset. `mcpp config show` shows what is in force and where each value is from.",
    `The file is TOML, at \`$XDG_CONFIG_HOME/mcplusplus/config.toml\` (\`~/.config/mcplusplus/config.toml\`) unless \`--${FILE_SETTING.flag}\` or \`${FILE_SETTING.env}\` names another. A key that is no setting is an error.`,
    "Relative paths start from the working folder in flags and variables, from the file's folder in the file; `~` is the home folder. Durations are milliseconds as a whole number, or text such as `500ms`, `30s`, `5m`, `2h`, `7d`. Flags that hold many values are repeated; variables separate them with commas or line ends (`MCPP_MOUNTS`: line ends only); the file has arrays, and for `mounts` a table:",
    '```toml\nport = 8001\nlease = "45s"\nbootstrap = ["/ip4/10.0.0.5/tcp/4001/p2p/12D3KooW…"]\n\n[mounts]\nfs = "npx -y @modelcontextprotocol/server-filesystem ."\nweb = "https://example.org/mcp"\n```',
    markdownTable(header, [...rows, settingRow(NODE_SETTING, NODE_SETTING.fallbackText ?? "")]),
    "## What is allowed",
    markdownTable(
      ["Variable", "Must be"],
      [...SETTING_NAMES.map((name) => SETTINGS[name]), NODE_SETTING].map(allowedRow),
    ),
  ]);
}

/** The page about the environment variables of the Python system, in Markdown. */
export function oldVariablesPage(): string {
  const rules = ALIAS_RULES.map(({ variables, prefixed, setting, reading }) => [
    variables.map((name) => inCode(prefixed ? `…${name}` : name)).join(", "),
    inCode(SETTINGS[setting].env),
    reading,
  ]);
  const unused = UNUSED_VARIABLES.map(({ variables, why }) => [variables.map(inCode).join(", "), why]);
  const prefixes = PREFIXES.map((prefix) => inCode(prefix)).join(" or ");
  return page("Environment variables of the Python system", [
    "These work as they are. They count less than flags and `MCPP_*` variables and more than the configuration file; a notice on standard error names those in force with their new names. An empty variable counts as unset. A value that the setting does not allow is an error, whatever the old system did with it.",
    `\`…\` stands for ${prefixes}; the first that is set counts.`,
    markdownTable(["Variable", "Now", "How it is read"], rules),
    "## Variables without effect",
    `With either prefix where they had one; \`*\` stands for any ending. D-numbers are [the differences on purpose](../guide/from-python.md#different-on-purpose).`,
    markdownTable(["Variable", "Why"], unused),
  ]);
}

function commandSection(command: Command): string {
  const usage = ["mcpp", command.name, ...command.args.map(({ name }) => name), "[options]"].join(" ");
  const flags = command.options.map(({ flag, kind, summary }) => [
    inCode(flagText(flag, kind.placeholder)),
    summary,
  ]);
  const settings = command.settings
    .flatMap((name) => SETTINGS[name].flag ?? [])
    .map((flag) => `\`--${flag}\``);
  const examples = command.examples.map(({ line, does }) => `# ${does}\n${line}`).join("\n\n");
  return [
    `## mcpp ${command.name}`,
    [command.summary, command.description].filter(Boolean).join(" "),
    `\`\`\`text\n${usage}\n\`\`\``,
    ...(command.args.length > 0
      ? [
          markdownTable(
            ["Argument", "Meaning"],
            command.args.map(({ name, summary }) => [inCode(name), summary]),
          ),
        ]
      : []),
    ...(flags.length > 0 ? [markdownTable(["Option", "Meaning"], flags)] : []),
    ...(settings.length > 0
      ? [`Settings: ${settings.join(", ")}; see [configuration](configuration.md).`]
      : []),
    `\`\`\`sh\n${examples}\n\`\`\``,
    `With \`--json\`: \`${command.json}\``,
  ].join("\n\n");
}

function settingRow(setting: Setting<unknown>, fallback: string): readonly string[] {
  const { flag, env, key, kind, summary } = setting;
  return [
    flag === undefined ? "-" : inCode(flagText(flag, kind.placeholder)),
    inCode(env),
    key === undefined ? "-" : inCode(key),
    fallback,
    summary,
  ];
}

function allowedRow({ env, kind }: Setting<unknown>): readonly string[] {
  return [inCode(env), kind.allowed];
}

function flagText(flag: string, placeholder: string | undefined): string {
  return placeholder === undefined ? `--${flag}` : `--${flag} <${placeholder}>`;
}

function inCode(text: string): string {
  return `\`${text}\``;
}

/** Padded like oxfmt does it, which checks these pages too. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = header.map((_, column) => Math.max(3, ...all.map((row) => row[column]?.length ?? 0)));
  const rule = widths.map((width) => "-".repeat(width));
  const [top = [], ...body] = all;
  const padded = [top, rule, ...body].map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)),
  );
  return padded.map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function page(title: string, parts: readonly string[]): string {
  return `${[`# ${title}`, NOTICE, ...parts].join("\n\n")}\n`;
}
