/** What a refusal of the API means: wait, or something that only a person can change. */
import * as z from "zod";
import { ConfigError, type McpError, ServerBusyError, UnreachableError } from "../../errors.ts";
import { MAX_LIMIT_MS, REFUSED_MS } from "./limits.ts";
import type { Gate } from "./gate.ts";

/** The headers of an answer, by their names in lower case. */
export type Headers = Readonly<Record<string, string | number | undefined>>;

/** An answer that is no success. */
export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  /** What the API says about it; it may be anything. */
  readonly message: string;
}

const messageSchema = z.object({ message: z.string() });
const MAX_MESSAGE_CHARS = 300;
const SECONDARY = /secondary rate limit|abuse detection/i;
const FIRST_SERVER_ERROR = 500;

/** A thing below the repository is not there; the repository is. */
export class MissingError extends UnreachableError {}

/** The message in an answer's body, cut. */
export function messageOf(body: unknown): string {
  const parsed = messageSchema.safeParse(body);
  return (parsed.success ? parsed.data.message : "no explanation").slice(0, MAX_MESSAGE_CHARS);
}

/** Whether it is one of GitHub's limits. */
export function isLimit(refusal: Refusal): boolean {
  return limitMs(refusal) !== undefined;
}

/** A refusal in words. @param what - what was asked for */
export function said({ status, message }: Refusal, what: string): string {
  return `${what}: GitHub says ${status}, ${message}`;
}

/** The error for a refusal, after the gate was closed for as long as it asks. */
export function refused(refusal: Refusal, what: string, gate: Gate, subject: Subject = REGISTRY): McpError {
  const { status } = refusal;
  const words = said(refusal, what);
  const limit = limitMs(refusal);
  if (limit !== undefined) {
    if (limit === "unknown") gate.limited();
    else gate.closeFor(limit);
    return new ServerBusyError(words, Math.ceil(gate.waitMs));
  }
  if (status >= FIRST_SERVER_ERROR || status === 408) {
    gate.backOff();
    return new UnreachableError(words);
  }
  const hint = subject.hints[status];
  gate.closeFor(REFUSED_MS);
  return new ConfigError(subject.name, undefined, `is refused: ${words}`, { hint });
}

/** What GitHub is asked for, in words. */
export interface Subject {
  readonly name: string;
  /** What to do about a refusal, by its status. */
  readonly hints: Readonly<Record<number, string>>;
}

const HINTS: Readonly<Record<number, string>> = {
  401: "the token is wrong, was revoked or has expired: make a new one",
  403: "the token needs the repository permission 'Issues: read and write', and the issue must not be locked",
  404: "check the name of the repository; a token that may not see a private one gets the same answer",
  410: "switch on Issues in the settings of the repository",
};

const REGISTRY: Subject = { name: "the registry on GitHub Issues", hints: HINTS };

/** How long a limit asks to wait; undefined if the refusal is about something else. */
function limitMs({ status, headers, message }: Refusal): number | "unknown" | undefined {
  const server = status === 503;
  if (status !== 403 && status !== 429 && !server) return undefined;
  const retryAfter = number(headers["retry-after"]);
  if (retryAfter !== undefined) return retryAfter * 1000;
  if (server) return undefined;
  if (number(headers["x-ratelimit-remaining"]) === 0) {
    const reset = number(headers["x-ratelimit-reset"]);
    const now = Date.parse(String(headers["date"]));
    // Both are the server's own times, so it does not matter what ours is.
    if (reset !== undefined && !Number.isNaN(now)) return reset * 1000 - now;
    return MAX_LIMIT_MS;
  }
  return status === 429 || SECONDARY.test(message) ? "unknown" : undefined;
}

function number(value: string | number | undefined): number | undefined {
  return value !== undefined && /^\d+$/.test(String(value)) ? Number(value) : undefined;
}
