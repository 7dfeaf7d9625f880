/**
 * One text for each JSON value, so that equal values have equal hashes: RFC 8785 (JCS), profile `mcpp-jcs-v1`.
 *
 * No white space, members sorted by UTF-16 code units, strings and numbers as ECMAScript writes them. It takes
 * values, not text, so what only a parser can see (duplicate keys, integer tokens that no double holds) must be
 * refused there. Everything that has no single JSON text is refused here rather than dropped or replaced.
 */
import { createHash } from "node:crypto";
import { InvalidInputError } from "../errors.ts";

/** Deeper nesting exhausts the stack of whoever writes or walks the value next; real messages stay below 50. */
export const MAX_JSON_DEPTH = 500;

/**
 * The canonical text of `value`. Members that are `undefined` are left out, as JSON leaves them out.
 *
 * @throws InvalidInputError for NaN, infinities, lone surrogates, cycles, too deep nesting, and what is not JSON
 */
export function canonicalJson(value: unknown): string {
  const parts: string[] = [];
  write(value, parts, new Set());
  return parts.join("");
}

/** SHA-256 of the canonical text of `value`, as 64 lower-case hexadecimal digits. @throws InvalidInputError */
export function canonicalDigest(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

function write(value: unknown, parts: string[], open: Set<object>): void {
  if (value === null || typeof value === "boolean") parts.push(String(value));
  else if (typeof value === "string") parts.push(quoted(value));
  else if (typeof value === "number") parts.push(numeral(value));
  else if (typeof value === "object") writeNested(value, parts, open);
  else throw new InvalidInputError(`JSON has no ${typeof value}`);
}

function writeNested(value: object, parts: string[], open: Set<object>): void {
  if (open.has(value)) throw new InvalidInputError("JSON has no cycles");
  if (open.size >= MAX_JSON_DEPTH)
    throw new InvalidInputError(`JSON is nested more than ${MAX_JSON_DEPTH} deep`);
  open.add(value);
  if (Array.isArray(value)) writeArray(value, parts, open);
  else writeObject(value, parts, open);
  open.delete(value);
}

function writeArray(items: readonly unknown[], parts: string[], open: Set<object>): void {
  parts.push("[");
  for (let i = 0; i < items.length; i++) {
    if (i > 0) parts.push(",");
    write(items[i], parts, open);
  }
  parts.push("]");
}

function writeObject(value: object, parts: string[], open: Set<object>): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new InvalidInputError(`JSON has no ${value.constructor.name}`);
  }
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  parts.push("{");
  for (const [i, [key, member]] of members.entries()) {
    if (i > 0) parts.push(",");
    parts.push(quoted(key), ":");
    write(member, parts, open);
  }
  parts.push("}");
}

function quoted(text: string): string {
  if (!text.isWellFormed())
    throw new InvalidInputError("text holds a lone surrogate, which UTF-8 cannot write");
  return JSON.stringify(text);
}

function numeral(value: number): string {
  if (!Number.isFinite(value)) throw new InvalidInputError(`JSON has no ${value}`);
  return JSON.stringify(value);
}
