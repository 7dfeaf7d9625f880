/** Standard error of a spawned server, turned into bounded log lines. */
import type { Readable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { LineCutter } from "./lines.ts";

/** A longer line is cut into several. */
const MAX_STDERR_LINE_BYTES = 4096;
/** A server that writes more than this in a second is in a loop; the rest of the second is counted only. */
const MAX_LINES_PER_SECOND = 200;
/** How much of the end is remembered, to say why a server ended. */
const LAST_WORDS_CHARS = 300;

/** Where the lines go. */
export interface ChildErrorsOptions {
  readonly command: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listener?: ((line: string) => void) | undefined;
}

/**
 * Reads `stream` to its end, at most {@link MAX_LINES_PER_SECOND} lines a second; the others are dropped and counted.
 *
 * @returns a function that gives the last line so far; "" if there was none
 */
export function childErrors(stream: Readable, options: ChildErrorsOptions): () => string {
  const { command, clock, logger, listener } = options;
  const cutter = new LineCutter(MAX_STDERR_LINE_BYTES);
  let last = "";
  let second = { startedAt: clock.now(), lines: 0 };
  const write = (bytes: Buffer): void => {
    const line = bytes.toString("utf8").trimEnd();
    if (line === "") return;
    last = line.slice(-LAST_WORDS_CHARS);
    if (clock.now() - second.startedAt >= 1000) {
      const dropped = second.lines - MAX_LINES_PER_SECOND;
      if (dropped > 0) logger.warn({ command, dropped }, "a child wrote more errors than are kept");
      second = { startedAt: clock.now(), lines: 0 };
    }
    second.lines++;
    if (second.lines > MAX_LINES_PER_SECOND) return;
    listener?.(line);
    logger.debug({ command, line }, "a child wrote to standard error");
  };
  stream.on("data", (chunk: Buffer) => {
    for (const line of cutter.push(chunk)) write(line.subarray(0, MAX_STDERR_LINE_BYTES));
    if (cutter.overflown) write(cutter.take().subarray(0, MAX_STDERR_LINE_BYTES));
  });
  stream.on("end", () => write(cutter.take()));
  stream.on("error", (error) =>
    logger.debug({ command, reason: error.message }, "standard error of a child broke"),
  );
  return () => last;
}
