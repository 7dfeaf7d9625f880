/** What a command is: data and a `run`. It prints its result and throws its errors; `main.ts` does the rest. */
import type { Kind, SettingName } from "../config.ts";
import type { Output } from "./output.ts";

/** Something a command can be told by a flag of its own. Settings of the node have theirs from the configuration. */
export interface Option<T = unknown> {
  /** Without the hyphens. */
  readonly flag: string;
  readonly kind: Kind<T>;
  readonly summary: string;
}

/** A positional argument, written `<needed>`, `[optional]` or `[many...]`. */
export interface Argument {
  readonly name: string;
  readonly summary: string;
}

/** A line that can be copied, and what it does. */
export interface Example {
  readonly line: string;
  readonly does: string;
}

/** One call of a command. */
export interface Invocation {
  /** Positional arguments; those that were left out are missing at the end. */
  readonly args: readonly string[];
  /** All flags, as the configuration takes them. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly out: Output;
  /** The value of an option. @returns undefined if it was not given @throws InvalidInputError */
  get<T>(option: Option<T>): T | undefined;
}

/** A command. */
export interface Command {
  /** One word, or two for a command in a group: `config show`. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** What one must know beyond the summary. */
  readonly description?: string | undefined;
  readonly args: readonly Argument[];
  readonly options: readonly Option[];
  /** Settings of the node that it takes as flags. */
  readonly settings: readonly SettingName[];
  /** Whether it talks to a node, and so takes `--node`. */
  readonly client: boolean;
  readonly examples: readonly Example[];
  /** What `--json` prints on success, as a type. */
  readonly json: string;
  /** Whether being asked to end is its ordinary end: exit code 0 after SIGINT or SIGTERM instead of 130 or 143. */
  readonly runsUntilStopped?: boolean | undefined;
  run(invocation: Invocation): Promise<void>;
}
