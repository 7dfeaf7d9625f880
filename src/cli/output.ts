/** Where a command's words go: results to standard output, everything else to standard error. */
import { styleText } from "node:util";
import { wantsColor } from "../config.ts";

/** How results are printed. */
export interface OutputOptions {
  /** One line of JSON instead of text. */
  readonly json: boolean;
  /** Only results and errors. */
  readonly quiet: boolean;
}

/** A task that a command was waiting for, and the command that goes on waiting. */
export interface Resumable {
  readonly task_id: string;
  readonly resume: string;
}

/** The few styles that are used. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow";

/** Clears the line and goes to its start (ECMA-48). */
const CLEAR_LINE = "\r\u001B[2K";
/** Goes up a line and clears it. */
const CLEAR_LINE_ABOVE = "\u001B[1A\u001B[2K";

/** The two streams of a command. */
export class Output {
  readonly json: boolean;
  /** What the process ends with if the command does not throw: not 0 where a result is itself bad news. */
  exitCode = 0;
  readonly #quiet: boolean;
  #liveLines = 0;
  #resumable: Resumable | undefined;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.#quiet = options.quiet;
  }

  /** Whether {@link live} shows anything. */
  get isLive(): boolean {
    return process.stderr.isTTY && !this.#quiet && !this.json;
  }

  /** Whether results go to a terminal, where people read them. */
  get isTerminal(): boolean {
    return process.stdout.isTTY && !this.json;
  }

  /** Says how to go on with what a failure from now on does not end. */
  resumable(resumable: Resumable): void {
    this.#resumable = resumable;
  }

  /**
   * Prints that the command failed: `failure` with `--json`, and the words.
   *
   * @param livesOn - whether what was {@link resumable} has not ended
   */
  failure(words: string, failure: object, livesOn: boolean): void {
    if (this.json) this.result("", { ...failure, ...this.#resumable });
    if (words !== "") this.error(words);
    if (livesOn && this.#resumable)
      this.#words(`task ${this.#resumable.task_id} lives on; wait again: ${this.#resumable.resume}`);
  }

  /** Prints the command's result: `data` with `--json`, `text` without. */
  result(text: string, data: object): void {
    this.clear();
    const line = this.json ? JSON.stringify(data) : text;
    if (line !== "") process.stdout.write(`${line}\n`);
  }

  /** Prints what a task wrote, as it wrote it: `text` on a stream, or with `--json` a line with `data`. */
  passOn(stream: "stdout" | "stderr", text: string, data: object): void {
    this.clear();
    if (this.json) process.stdout.write(`${JSON.stringify(data)}\n`);
    else process[stream].write(text);
  }

  /** Says something that is good to know, unless `--quiet` was given. */
  note(text: string): void {
    if (!this.#quiet) this.#words(text);
  }

  /** Says something that must be known. */
  warn(text: string): void {
    this.#words(`${this.style("yellow", "warning:", process.stderr)} ${text}`);
  }

  /** Says that the command failed. */
  error(text: string): void {
    this.#words(`${this.style("red", "error:", process.stderr)} ${text}`);
  }

  /** Shows lines that replace those shown before; only on a terminal. */
  live(lines: readonly string[]): void {
    if (!this.isLive) return;
    this.clear();
    const width = process.stderr.columns;
    process.stderr.write(lines.map((line) => `${width > 0 ? line.slice(0, width - 1) : line}\n`).join(""));
    this.#liveLines = lines.length;
  }

  /** Takes away what {@link live} shows. */
  clear(): void {
    if (this.#liveLines > 0) process.stderr.write(CLEAR_LINE + CLEAR_LINE_ABOVE.repeat(this.#liveLines));
    this.#liveLines = 0;
  }

  /** `text` in a style, if the stream shows styles. */
  style(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
    return wantsColor(stream) ? styleText(style, text, { validateStream: false }) : text;
  }

  #words(text: string): void {
    this.clear();
    process.stderr.write(`${text}\n`);
  }
}
