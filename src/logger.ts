/** Structured logs, one JSON object a line on standard error; silent unless a level is asked for. */
import { pino, destination } from "pino";

/** How much is written: each level includes the ones after it. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** What a room writes its log lines to. Facts go into `facts`, never secrets. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
  /** A logger whose lines all carry `facts`. */
  child(facts: object): Logger;
}

/** Field names that are replaced in every line, wherever a careless caller puts them. */
const SECRET_FIELDS = [
  "token",
  "*.token",
  "secret",
  "*.secret",
  "authorization",
  "*.authorization",
  "privateKey",
  "*.privateKey",
];

/**
 * A logger that writes JSON lines to standard error, synchronously, so that the last line before a crash is there.
 *
 * @param level - the least level that is written
 */
export function createLogger(level: LogLevel): Logger {
  return pino(
    { name: "mcpp", level, redact: { paths: SECRET_FIELDS, censor: "[redacted]" } },
    destination({ dest: 2, sync: true }),
  );
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
