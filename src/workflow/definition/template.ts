/**
 * Values with references in them: `${{ expression }}` alone in a text stands for the value itself, within other text
 * for the value as text. `$${{` stands for `${{` as it is.
 */
import { isJsonObject, jsonBytes } from "../../content/json.ts";
import { ExpressionError } from "../../errors.ts";
import { asText, evaluate, type Scope } from "./evaluate.ts";
import { type Expression, parseExpression } from "./expression.ts";
import { MAX_NESTING, MAX_RENDERED_BYTES } from "./limits.ts";

const OPEN = "${{";
const CLOSE = "}}";

/** Text, in the parts it is made of. */
export type TemplatePart = string | Expression;

/** The parts of a text. @throws ExpressionError if a reference does not end, or cannot be read */
export function templateParts(text: string): readonly TemplatePart[] {
  const parts: TemplatePart[] = [];
  let at = 0;
  let plain = "";
  for (let open = text.indexOf(OPEN); open >= 0; open = text.indexOf(OPEN, at)) {
    if (text[open - 1] === "$" && open > at) {
      plain += text.slice(at, open - 1) + OPEN;
      at = open + OPEN.length;
      continue;
    }
    const close = endOf(text, open + OPEN.length);
    if (close < 0) throw new ExpressionError(`'${text.slice(open, open + 40)}' has no ${CLOSE}`);
    plain += text.slice(at, open);
    if (plain !== "") parts.push(plain);
    plain = "";
    parts.push(parseExpression(text.slice(open + OPEN.length, close)));
    at = close + CLOSE.length;
  }
  plain += text.slice(at);
  if (plain !== "") parts.push(plain);
  return parts;
}

/** Where the reference ends that begins at `from`: the first `}}` that is not within quotes. */
function endOf(text: string, from: number): number {
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const letter = text.charAt(at);
    if (quote !== "") {
      if (letter === "\\") at++;
      else if (letter === quote) quote = "";
    } else if (letter === "'" || letter === '"') quote = letter;
    else if (text.startsWith(CLOSE, at)) return at;
  }
  return -1;
}

/** The expression of a member that is one as a whole, with or without `${{ }}` around it. @throws ExpressionError */
export function wholeExpression(text: string): Expression {
  if (!text.trimStart().startsWith(OPEN)) return parseExpression(text);
  const [only, ...others] = templateParts(text.trim());
  if (only === undefined || typeof only === "string" || others.length > 0)
    throw new ExpressionError(`'${text}' must be one expression`);
  return only;
}

/** Where an expression stands in a value. */
export interface Found {
  readonly path: readonly (string | number)[];
  readonly expression: Expression;
}

/**
 * All expressions in a value, in its order.
 *
 * @param wrong - is told of texts that cannot be read, instead of an exception
 */
export function expressionsIn(
  value: unknown,
  path: readonly (string | number)[],
  wrong: (path: readonly (string | number)[], error: ExpressionError) => void,
): readonly Found[] {
  if (path.length > MAX_NESTING) {
    wrong(path, new ExpressionError(`it is nested more than ${MAX_NESTING} deep`));
    return [];
  }
  if (typeof value === "string") {
    const parts =
      attempt(
        () => templateParts(value),
        (error) => wrong(path, error),
      ) ?? [];
    return parts.flatMap((part) => (typeof part === "string" ? [] : [{ path, expression: part }]));
  }
  if (Array.isArray(value))
    return value.flatMap((item, index) => expressionsIn(item, [...path, index], wrong));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => expressionsIn(member, [...path, key], wrong));
}

/** What `read` gives; `wrong` is told of what is wrong with an expression. */
export function attempt<T>(read: () => T, wrong: (error: ExpressionError) => void): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    wrong(error);
    return undefined;
  }
}

/** `value` with its references replaced. @throws ExpressionError, also if it grows too large */
export function render(value: unknown, scope: Scope): unknown {
  const budget = { bytes: MAX_RENDERED_BYTES };
  return rendered(value, scope, budget);
}

function rendered(value: unknown, scope: Scope, budget: { bytes: number }): unknown {
  if (typeof value === "string") return renderedText(value, scope, budget);
  if (Array.isArray(value)) return value.map((item) => rendered(item, scope, budget));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, rendered(member, scope, budget)]),
  );
}

function renderedText(text: string, scope: Scope, budget: { bytes: number }): unknown {
  if (!text.includes(OPEN)) return text;
  const parts = templateParts(text);
  const values = parts.map((part) => {
    if (typeof part === "string") return part;
    const value = evaluate(part, scope);
    budget.bytes -= jsonBytes(value);
    if (budget.bytes < 0) throw new ExpressionError(`references make more than ${MAX_RENDERED_BYTES} bytes`);
    return value;
  });
  const isWhole = parts.length === 1 && typeof parts[0] !== "string";
  return isWhole ? values[0] : values.map(asText).join("");
}
