/** The commands, put into commander: parsing, help, suggestions. */
import { Command as Parser, CommanderError, Option as Flag } from "commander";
import { fallbackText, FILE_SETTING, NODE_SETTING, type Setting, SETTINGS } from "../config.ts";
import { InvalidInputError } from "../errors.ts";
import type { Command } from "./command.ts";
import { EXIT, EXIT_TEXTS } from "./failure.ts";

/** What was asked for. */
export interface Request {
  readonly command: Command;
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
}

/** What parsing gave: a request; or, after help, the version or a usage error was printed, the exit code and that error. */
export type Parsed =
  | { readonly request: Request }
  | { readonly exitCode: number; readonly usageError?: InvalidInputError };

const GROUPS: Readonly<Record<string, string>> = {
  config: "Show the configuration.",
  flow: "Run durable workflows.",
  cache: "Read and write the cache that nodes share.",
  store: "Look after the database.",
};

/** Parses a command line, without the program's own name. */
export async function parseCommandLine(
  commands: readonly Command[],
  version: string,
  argv: readonly string[],
): Promise<Parsed> {
  let request: Request | undefined;
  const program = buildProgram(commands, version, (asked) => {
    request = asked;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { exitCode: EXIT.ok };
    const usageError = new InvalidInputError(error.message.replace(/^error: /, ""), { cause: error });
    return { exitCode: EXIT.other, usageError };
  }
  return request
    ? { request }
    : { exitCode: EXIT.other, usageError: new InvalidInputError("no command was given") };
}

function buildProgram(
  commands: readonly Command[],
  version: string,
  ask: (request: Request) => void,
): Parser {
  const program = new Parser("mcpp")
    .description("MCP tools, a durable task queue and workers over libp2p: a call that cannot be lost.")
    .version(version, "-V, --version", "Print the version.")
    .helpOption("-h, --help", "Print help; `mcpp <command> --help` for a command's own.")
    .helpCommand("help [command]", "Print the help of a command.")
    .addHelpText("after", () => `\n${EXAMPLES}\n\nExit codes:\n${exitCodes()}\n`)
    .showHelpAfterError("(mcpp --help lists the commands and options)")
    .exitOverride();
  const groups = new Map<string, Parser>();
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    if (second === undefined) {
      addCommand(program, first, command, ask);
      continue;
    }
    const group = groups.get(first) ?? program.command(first).description(GROUPS[first] ?? "");
    groups.set(first, group);
    addCommand(group, second, command, ask);
  }
  return program;
}

function addCommand(parent: Parser, name: string, command: Command, ask: (request: Request) => void): void {
  const parser = parent
    .command(name)
    .summary(command.summary)
    .description([command.summary, command.description].filter(Boolean).join("\n\n"))
    .showHelpAfterError(`(mcpp ${command.name} --help shows how it is used)`)
    .helpOption("-h, --help", "Print this help.");
  for (const { name: argument, summary } of command.args) parser.argument(argument, summary);
  for (const { flag, kind, summary } of command.options) addFlag(parser, flag, kind, summary);
  if (command.client) addSetting(parser, NODE_SETTING);
  for (const setting of command.settings) addSetting(parser, SETTINGS[setting], fallbackText(setting));
  parser
    .option(`--${FILE_SETTING.flag} <path>`, `Configuration file. [${FILE_SETTING.env}]`)
    .option("--json", "Print the result as one line of JSON.")
    .option("-q, --quiet", "Print results and errors only.")
    .addHelpText("after", () => `\n${details(command)}\n`)
    .action(() => ask({ command, args: parser.args, flags: parser.opts() }));
}

function addSetting(
  parser: Parser,
  setting: Setting<unknown>,
  fallback: string = setting.fallbackText ?? "",
): void {
  if (setting.flag === undefined) return;
  const standard = fallback === "" ? "" : `; default: ${fallback}`;
  addFlag(parser, setting.flag, setting.kind, `${setting.summary} [${setting.env}${standard}]`);
  // Either word overrules the environment and the file.
  if (setting.kind.placeholder === undefined)
    parser.addOption(new Flag(`--no-${setting.flag}`, `The opposite of --${setting.flag}.`));
}

function addFlag(parser: Parser, flag: string, kind: Setting<unknown>["kind"], summary: string): void {
  const placeholder = kind.placeholder === undefined ? "" : ` <${kind.placeholder}>`;
  const option = new Flag(`--${flag}${placeholder}`, kind.many ? `${summary} Repeatable.` : summary);
  if (kind.many)
    option.argParser((value: string, before: unknown) => [...(Array.isArray(before) ? before : []), value]);
  parser.addOption(option);
}

function details(command: Command): string {
  const width = Math.max(...command.examples.map(({ line }) => line.length));
  const examples = command.examples.map(({ line, does }) => `  ${line.padEnd(width)}  # ${does}`);
  return ["Examples:", ...examples, "", "With --json:", `  ${command.json}`].join("\n");
}

function exitCodes(): string {
  return EXIT_TEXTS.map(([code, text]) => `  ${String(code).padStart(3)}  ${text}`).join("\n");
}

const EXAMPLES = `Examples:
  mcpp serve                                      # a node: MCP over HTTP, libp2p, a queue and a worker
  mcpp submit echo '{"hello":"world"}' --wait     # a durable task, and its result
  mcpp demo                                       # three nodes, one of which is killed, and nothing is lost

Settings come from flags, then MCPP_* variables, then the configuration file, then defaults: see mcpp config show.`;
