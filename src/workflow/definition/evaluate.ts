/** The values of expressions. Pure: the same values in give the same value out, on every node. */
import { canonicalJson } from "../../content/canonical-json.ts";
import { isJsonObject, jsonBytes } from "../../content/json.ts";
import { ExpressionError } from "../../errors.ts";
import type { Comparison, Expression, Root } from "./expression.ts";
import { MAX_ITEMS, MAX_RENDERED_BYTES } from "./limits.ts";

/** What an expression can refer to, by the name that its path begins with; an absent one cannot be used there. */
export type Scope = Readonly<Partial<Record<Root, unknown>>>;

/** Stands for what a path does not lead to; `default` catches it, everything else refuses it. */
const MISSING: unique symbol = Symbol("missing");

/**
 * The value of an expression.
 *
 * @throws ExpressionError if a path leads nowhere, or an operation does not go with its operands
 */
export function evaluate(expression: Expression, scope: Scope): unknown {
  const value = valueOf(expression, scope);
  if (value !== MISSING) return value;
  throw new ExpressionError(`${textOf(expression)} has no value${whatThereIs(expression, scope)}`, {
    hint: DEFAULT_HINT,
  });
}

/** More names than this say no more. */
const MAX_NAMES_SHOWN = 10;

/** What the last part of a path that has a value does have. */
function whatThereIs(expression: Expression, scope: Scope): string {
  if (expression.kind !== "path") return "";
  for (let length = expression.members.length - 1; length >= 0; length--) {
    const before: Expression = { ...expression, members: expression.members.slice(0, length) };
    const value = valueOf(before, scope);
    if (value === MISSING) continue;
    if (Array.isArray(value)) return `; ${textOf(before)} is a list of ${value.length}`;
    if (!isJsonObject(value)) return `; ${textOf(before)} is ${kindOf(value)}`;
    const names = Object.keys(value);
    const more = names.length > MAX_NAMES_SHOWN ? ", …" : "";
    return `; ${textOf(before)} has ${names.length === 0 ? "no members" : names.slice(0, MAX_NAMES_SHOWN).join(", ")}${more}`;
  }
  return "";
}

const DEFAULT_HINT = "default(a, b) gives b where a has no value or is null";

/** The truth of an expression. @throws ExpressionError as {@link evaluate}, and if the value is not true or false */
export function evaluateTruth(expression: Expression, scope: Scope): boolean {
  const value = evaluate(expression, scope);
  if (typeof value !== "boolean")
    throw new ExpressionError(`${textOf(expression)} is ${kindOf(value)}, not true or false`, {
      hint: "compare it, e.g. with == null or > 0",
    });
  return value;
}

function valueOf(expression: Expression, scope: Scope): unknown {
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "path":
      return pathValue(expression.root, expression.members, scope);
    case "not":
      return !evaluateTruth(expression.of, scope);
    case "both":
      return evaluateTruth(expression.left, scope) && evaluateTruth(expression.right, scope);
    case "either":
      return evaluateTruth(expression.left, scope) || evaluateTruth(expression.right, scope);
    case "compare":
      return compared(expression.by, evaluate(expression.left, scope), evaluate(expression.right, scope));
    case "call":
      break;
  }
  return called(expression.name, expression.args, scope);
}

function pathValue(root: Root, members: readonly Expression[], scope: Scope): unknown {
  let value: unknown = scope[root] === undefined ? MISSING : scope[root];
  for (const member of members) {
    const key = evaluate(member, scope);
    value = memberOf(value, key);
    if (value === MISSING) return MISSING;
  }
  return value;
}

/** Own members only: what a prototype has is no part of a value. */
function memberOf(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    if (typeof key !== "number") return MISSING;
    const item: unknown = value.at(key);
    return Number.isInteger(key) && item !== undefined ? item : MISSING;
  }
  if (!isJsonObject(value) || typeof key !== "string" || !Object.hasOwn(value, key)) return MISSING;
  return value[key] ?? null;
}

function compared(by: Comparison, left: unknown, right: unknown): boolean {
  if (by === "==") return canonicalJson(left) === canonicalJson(right);
  if (by === "!=") return canonicalJson(left) !== canonicalJson(right);
  const numbers = typeof left === "number" && typeof right === "number";
  const texts = typeof left === "string" && typeof right === "string";
  if (!numbers && !texts)
    throw new ExpressionError(
      `${by} compares two numbers or two texts, not ${kindOf(left)} and ${kindOf(right)}`,
    );
  if (by === "<") return left < right;
  if (by === "<=") return left <= right;
  return by === ">" ? left > right : left >= right;
}

function called(name: string, args: readonly Expression[], scope: Scope): unknown {
  const [first, second] = args;
  if (!first) throw new ExpressionError(`${name} has no argument`);
  if (name === "default") {
    const value = valueOf(first, scope);
    return (value === MISSING || value === null) && second ? evaluate(second, scope) : value;
  }
  const value = evaluate(first, scope);
  const other = second === undefined ? undefined : evaluate(second, scope);
  switch (name) {
    case "length":
      return lengthOf(value);
    case "contains":
      return contains(value, other);
    case "startsWith":
      return text(name, value).startsWith(text(name, other));
    case "endsWith":
      return text(name, value).endsWith(text(name, other));
    case "join":
      return bounded(list(name, value).map(asText).join(text(name, other)));
    case "json":
      return bounded(canonicalJson(value));
    case "range":
      return range(value);
    case "flat":
      return list(name, value).flatMap((item): readonly unknown[] => (Array.isArray(item) ? item : [item]));
    default:
      throw new ExpressionError(`there is no function '${name}'`);
  }
}

function lengthOf(value: unknown): number {
  if (typeof value === "string" || Array.isArray(value)) return value.length;
  if (isJsonObject(value)) return Object.keys(value).length;
  throw new ExpressionError(`length takes a list, text or object, not ${kindOf(value)}`);
}

function contains(value: unknown, other: unknown): boolean {
  if (typeof value === "string") return value.includes(text("contains", other));
  const wanted = canonicalJson(other);
  return list("contains", value).some((item) => canonicalJson(item) === wanted);
}

function range(value: unknown): readonly number[] {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > MAX_ITEMS)
    throw new ExpressionError(`range takes a whole number from 0 to ${MAX_ITEMS}`);
  return Array.from({ length: value }, (_, index) => index);
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new ExpressionError(`${name} takes text, not ${kindOf(value)}`);
}

function list(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new ExpressionError(`${name} takes a list, not ${kindOf(value)}`);
}

/** A value inside a text: text as it is, everything else as JSON. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : canonicalJson(value);
}

function bounded(made: string): string {
  if (jsonBytes(made) <= MAX_RENDERED_BYTES) return made;
  throw new ExpressionError(`an expression made a text of more than ${MAX_RENDERED_BYTES} bytes`);
}

/** What kind of value it is, in words. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? "text" : `a ${typeof value}`;
}

/** An expression in words, for messages: a path as it is written, anything else by its kind. */
function textOf(expression: Expression): string {
  if (expression.kind !== "path") return "the expression";
  const members = expression.members.map((member) =>
    member.kind === "literal"
      ? typeof member.value === "number"
        ? `[${member.value}]`
        : `.${member.value}`
      : "[…]",
  );
  return expression.root + members.join("");
}
