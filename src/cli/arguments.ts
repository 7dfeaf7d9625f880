/** Structured values, from the command line and for people to read. Apart from options.ts, because the commands' data must load fast. */
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { InvalidInputError } from "../errors.ts";

/** A JSON object from the command line. @throws InvalidInputError naming `what` */
export function parseObject(what: string, json: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InvalidInputError(`${what} must be a JSON object: ${why}`, {
      cause: error,
      hint: `in a shell, quote it: '{"key":"value"}'`,
    });
  }
  if (!isJsonObject(value))
    throw new InvalidInputError(`${what} must be a JSON object, not ${json.slice(0, 80)}`);
  return value;
}

/** The arguments of a tool: nothing, one JSON object, or `key=value` words as {@link parsePairs} takes them. */
export function parseToolArguments(words: readonly string[]): JsonObject {
  const [first] = words;
  const isJson = words.length === 1 && first?.trimStart().startsWith("{");
  return isJson ? parseObject("the tool's arguments", first ?? "") : parsePairs(words);
}

/**
 * An object written as `key=value` words. A value that is JSON counts as JSON, any other as text; `key:=value` must be JSON.
 *
 * @throws InvalidInputError
 */
export function parsePairs(words: readonly string[]): JsonObject {
  const pairs: Record<string, unknown> = {};
  for (const word of words) {
    const [, key, colon, value = ""] = /^([^=:]+)(:?)=([^]*)$/.exec(word) ?? [];
    if (key === undefined)
      throw new InvalidInputError(`'${word}' must be key=value, or the only argument a JSON object`);
    pairs[key] = parseValue(key, value, colon === ":");
  }
  return pairs;
}

function parseValue(key: string, value: string, strict: boolean): unknown {
  try {
    const parsed: unknown = JSON.parse(value);
    // What a number would not give back, such as an id of digits, is text.
    return !strict && typeof parsed === "number" && String(parsed) !== value ? value : parsed;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (strict)
      throw new InvalidInputError(`the value of '${key}' must be JSON: ${error.message}`, { cause: error });
    return value;
  }
}

/** An object as rows of dotted name and value. */
export function flatRows(value: unknown, name = ""): (readonly [string, string])[] {
  if (!isJsonObject(value)) return [[name, typeof value === "string" ? value : JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, member]) =>
    flatRows(member, name === "" ? key : `${name}.${key}`),
  );
}
