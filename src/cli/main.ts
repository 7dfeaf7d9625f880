/** The entry of `mcpp`: parses, runs, and is the one place where errors become messages and exit codes. */
import { flagAttribute } from "../config.ts";
import { BadValue } from "../config/kind.ts";
import { CancelledError, InvalidInputError } from "../errors.ts";
import { VERSION } from "../version.ts";
import type { Command, Invocation, Option } from "./command.ts";
import { commands } from "./commands/index.ts";
import { errorText, EXIT, exitCodeOf, failureJson } from "./failure.ts";
import { Output } from "./output.ts";
import { type Parsed, parseCommandLine, type Request } from "./program.ts";

/** Exit codes of waits that ended before their task. */
const LIVES_ON: ReadonlySet<number> = new Set([EXIT.unreachable, EXIT.timeout, EXIT.interrupted]);

/**
 * Runs a command line and sets the process's exit code; the process ends when nothing is left to do.
 *
 * @param argv - without the program's own name
 */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader such as `head` that has seen enough is no error.
  process.stdout.on("error", ignoreClosedPipe);
  const parsed = await parseCommandLine(commands, VERSION, argv);
  process.exitCode = "exitCode" in parsed ? endUnrun(parsed, argv) : await runCommand(parsed.request);
}

/** The words of a usage error are commander's, and printed by it. */
function endUnrun(
  { exitCode, usageError }: Exclude<Parsed, { request: Request }>,
  argv: readonly string[],
): number {
  const options = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  if (usageError && options.includes("--json"))
    new Output({ json: true, quiet: false }).result("", failureJson(usageError));
  return exitCode;
}

async function runCommand({ command, args, flags }: Request): Promise<number> {
  const out = new Output({ json: flags["json"] === true, quiet: flags["quiet"] === true });
  const invocation: Invocation = { args, flags, out, get: (option) => optionValue(option, flags) };
  try {
    return await runToEnd(command, invocation);
  } catch (error) {
    const exitCode = exitCodeOf(error);
    out.failure(errorText(error), failureJson(error), LIVES_ON.has(exitCode));
    return exitCode;
  }
}

/** Runs the command; the first SIGINT or SIGTERM cancels it, and then a second one ends the process at once. */
async function runToEnd(command: Command, invocation: Invocation): Promise<number> {
  const { run } = await import("../nursery/index.ts");
  const outcome = await run(() => command.run(invocation), { signals: ["SIGINT", "SIGTERM"] });
  if (outcome.ok || command.runsUntilStopped) return invocation.out.exitCode;
  const exitCode = process.exitCode === EXIT.terminated ? EXIT.terminated : EXIT.interrupted;
  const word = exitCode === EXIT.terminated ? "terminated" : "interrupted";
  invocation.out.failure("", failureJson(new CancelledError(word)), true);
  return exitCode;
}

function optionValue<T>(option: Option<T>, flags: Readonly<Record<string, unknown>>): T | undefined {
  const raw = flags[flagAttribute(option.flag)];
  if (raw === undefined) return undefined;
  try {
    return option.kind.read(raw, { folder: process.cwd() });
  } catch (error) {
    if (!(error instanceof BadValue)) throw error;
    throw new InvalidInputError(`--${option.flag} ${error.message}`, { cause: error });
  }
}

function ignoreClosedPipe(error: Error): void {
  if (!("code" in error) || error.code !== "EPIPE") throw error;
}

if (import.meta.main) await main(process.argv.slice(2));
