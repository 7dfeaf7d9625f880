/** Reads the fields of old requests as leniently as the Python service does, and not more. */
import { isJsonObject, type JsonObject } from "../../../content/json.ts";
import { integerOf, isExactInteger } from "../../../content/python-json.ts";

/** `value` as trimmed text; "" for what is absent, null or no text. Numbers become text, as ids may be numbers. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value.trim();
  const integer = integerOf(value);
  return integer === undefined ? "" : integer.toString();
}

/** The first of the named fields that has text; "" if none has. */
export function firstText(request: JsonObject, ...names: readonly string[]): string {
  for (const name of names) {
    const text = textOf(request[name]);
    if (text !== "") return text;
  }
  return "";
}

/** Whether Python would take `value` for true. */
export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isJsonObject(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** `value` if it is an object, else an object that has it under `name`. */
export function wrapped(name: string, value: unknown): JsonObject {
  return isJsonObject(value) && !isExactInteger(value) ? value : { [name]: value ?? null };
}

/** Types as an array or as text with commas; blanks go, and an empty list means all. */
export function typesOf(value: unknown): readonly string[] {
  const items: readonly unknown[] =
    typeof value === "string" ? value.split(",") : Array.isArray(value) ? value : [];
  return items.map(textOf).filter((type) => type !== "");
}

/** An integer out of a number or text; undefined if there is none. */
export function integerIn(value: unknown): number | undefined {
  if (typeof value === "boolean") return Number(value);
  if (typeof value === "number") return Math.trunc(value);
  return typeof value === "string" && /^\s*[+-]?\d{1,15}\s*$/.test(value) ? Number(value) : undefined;
}

/** Seconds out of a number or text; undefined for what is absent or counts as false, NaN for what is no number. */
export function secondsIn(value: unknown): number | undefined {
  if (!isTruthy(value)) return undefined;
  if (typeof value === "object") return Number.NaN;
  return typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
}
