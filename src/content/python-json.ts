/**
 * JSON as Python's `json` module reads and writes it: with `NaN`, infinities, and integers of any size.
 *
 * What comes out is plain JSON that every store and every wire of ours can carry. `NaN` and infinities become null:
 * they say "no number", and JSON has no other word for it. An integer that a double cannot hold is not rounded but
 * kept as `{ "$integer": "<digits>" }`; {@link writePythonJson} writes that as plain digits again, so what passes
 * through this node from one Python peer to another arrives as it was sent.
 */
import { InvalidInputError } from "../errors.ts";
import { isJsonObject } from "./json.ts";

/** The only member of what stands for an integer beyond 2^53. */
export const EXACT_INTEGER = "$integer";
/** Python itself refuses to read longer integers (`sys.int_info.default_max_str_digits`). */
export const MAX_INTEGER_DIGITS = 4300;

/** An integer that no double holds, as text that every JSON can carry. */
export interface ExactInteger {
  readonly [EXACT_INTEGER]: string;
}

/** Texts without any of these need no second look: long digits, large exponents, and Python's own words. */
const UNUSUAL = /\d{16}|[eE]\+?\d{3}|NaN|Infinity/;
const INTEGER = /^-?\d+$/;
const WORD = /-?Infinity|NaN/g;

declare global {
  interface JSON {
    /** What `JSON.stringify` copies as it is (proposal JSON.parse source text access; Node 21 and later). */
    rawJSON(text: string): object;
  }
}

/**
 * The value of a JSON text that may come from Python.
 *
 * @throws InvalidInputError if it is not even JSON of Python's kind, nested too deeply, or holds an integer of more
 *   than {@link MAX_INTEGER_DIGITS} digits
 */
export function parsePythonJson(text: string): unknown {
  try {
    if (!UNUSUAL.test(text)) return JSON.parse(text);
    return JSON.parse(withoutWords(text), exactly);
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause;
    throw new InvalidInputError("this is not JSON", { cause });
  }
}

/**
 * A JSON text that Python and everybody else can read: never `NaN`, integers beyond 2^53 as plain digits, whether
 * they come as {@link ExactInteger} or as bigint.
 *
 * @throws InvalidInputError for what JSON cannot write: cycles, functions, undefined
 */
export function writePythonJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, digits);
  } catch (cause) {
    throw new InvalidInputError("this cannot be written as JSON", { cause });
  }
  if (text === undefined) throw new InvalidInputError(`JSON has no ${typeof value}`);
  return text;
}

/** The integer that `value` means, of any size; undefined if it is none. */
export function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return isExactInteger(value) ? BigInt(value[EXACT_INTEGER]) : undefined;
}

/** Whether `value` stands for an integer that no double holds. */
export function isExactInteger(value: unknown): value is ExactInteger {
  if (!isJsonObject(value)) return false;
  const written = value[EXACT_INTEGER];
  if (typeof written !== "string" || Object.keys(value).length !== 1) return false;
  // A smaller one was never written this way, so it is somebody's own object.
  return INTEGER.test(written) && written.length <= MAX_INTEGER_DIGITS + 1 && !Number.isSafeInteger(+written);
}

/** The reviver: `source` is the text of a number as it was sent. */
function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? "";
  if (!INTEGER.test(source)) return Number.isFinite(value) ? value : null;
  if (source.length > MAX_INTEGER_DIGITS + 1)
    throw new InvalidInputError(`an integer has more than ${MAX_INTEGER_DIGITS} digits`);
  return { [EXACT_INTEGER]: source };
}

function digits(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return JSON.rawJSON(value.toString());
  return isExactInteger(value) ? JSON.rawJSON(value[EXACT_INTEGER]) : value;
}

/** `text` with Python's words replaced by null, except within strings. One pass, since peers send it. */
function withoutWords(text: string): string {
  const parts: string[] = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('"', at);
    const gap = open < 0 ? text.slice(at) : text.slice(at, open);
    parts.push(gap.replace(WORD, "null"));
    if (open < 0) break;
    const end = endOfString(text, open);
    parts.push(text.slice(open, end));
    at = end;
  }
  return parts.join("");
}

/** The index after the quote that ends the string which begins at `open`. */
function endOfString(text: string, open: number): number {
  for (let i = open + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === BACKSLASH) i++;
    else if (unit === QUOTE) return i + 1;
  }
  return text.length;
}

const BACKSLASH = 0x5c;
const QUOTE = 0x22;
