/**
 * The kinds of values that settings have: how each is read from text or TOML, and the words for what it allows.
 *
 * Not zod: reading a configuration and printing `--help` must not cost the time of loading it.
 */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** A value is not one of its kind; the message goes on after the setting's name: "must be …". */
export class BadValue extends Error {
  override readonly name = "BadValue";
}

/** Where a value was written, as far as it matters for reading it. */
export interface Place {
  /** Folder that relative paths start from. */
  readonly folder: string;
}

/** One kind of value. */
export interface Kind<T> {
  /** Stands for the value in usage lines, e.g. `<port>`. Absent for a switch, which takes none. */
  readonly placeholder?: string | undefined;
  /** What is allowed, after "must be". */
  readonly allowed: string;
  /** Whether the flag may be given many times, and the environment may hold many. */
  readonly many: boolean;
  /** @throws BadValue */
  read(raw: unknown, place: Place): T;
  /** The value as one would write it. */
  show(value: T): string;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Enough to recognise a name that is too long; what comes after it may be secret. */
const MAX_NAME_SHOWN = 40;
const ON: ReadonlySet<string> = new Set(["1", "true", "yes", "on"]);
const OFF: ReadonlySet<string> = new Set(["0", "false", "no", "off"]);

function one<T>(
  placeholder: string | undefined,
  allowed: string,
  convert: (raw: unknown, place: Place) => T | undefined,
): Kind<T> {
  return {
    placeholder,
    allowed,
    many: false,
    read(raw, place) {
      const value = convert(raw, place);
      if (value === undefined) throw new BadValue(`must be ${allowed}, not ${shown(raw)}`);
      return value;
    },
    show: (value) => String(value),
  };
}

/** Text that is not empty; with a pattern, text of that form. */
export function text(placeholder: string, allowed: string, pattern: RegExp = /\S/): Kind<string> {
  return one(placeholder, allowed, (raw) => (typeof raw === "string" && pattern.test(raw) ? raw : undefined));
}

/** One word of a few. */
export function choice<T extends string>(...words: readonly T[]): Kind<T> {
  return one(words.join("|"), `one of ${words.join(", ")}`, (raw) => words.find((word) => word === raw));
}

/** On or off. */
export function onOff(): Kind<boolean> {
  return one(undefined, "true or false (also 1/0, yes/no, on/off)", (raw) => {
    if (typeof raw === "boolean") return raw;
    const word = typeof raw === "string" ? raw.toLowerCase() : "";
    if (ON.has(word)) return true;
    return OFF.has(word) ? false : undefined;
  });
}

/** A whole number from `min` to `max`. */
export function integer(placeholder: string, min: number, max: number): Kind<number> {
  return one(placeholder, `a whole number from ${min} to ${max}`, (raw) => {
    const value = typeof raw === "string" && /^-?\d+$/.test(raw) ? Number(raw) : raw;
    return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? value
      : undefined;
  });
}

/** A duration: milliseconds as a whole number, or a number with a unit, such as `500ms`, `30s`, `1.5h`. */
export function duration(minMs: number, maxMs: number): Kind<number> {
  const allowed = `a duration such as 500ms, 30s, 5m, 2h or 7d (a bare number is milliseconds) from ${durationText(minMs)} to ${durationText(maxMs)}`;
  const convert = (raw: unknown): number | undefined => {
    const ms = typeof raw === "string" ? parseDuration(raw) : raw;
    return typeof ms === "number" && Number.isInteger(ms) && ms >= minMs && ms <= maxMs ? ms : undefined;
  };
  return { ...one("duration", allowed, convert), show: durationText };
}

/** Milliseconds of a duration as text; undefined if it is none. */
export function parseDuration(raw: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(raw.trim());
  const unit = UNIT_MS[match?.[2] ?? "ms"];
  return match?.[1] === undefined || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** A duration in its largest unit that leaves no rest. */
export function durationText(ms: number): string {
  const units = Object.entries(UNIT_MS).toReversed();
  const [unit, size] = units.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

const UNIT_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** A number of bytes: a whole number, or one with a unit, such as `64KiB`, `16MiB`. */
export function byteSize(minBytes: number, maxBytes: number): Kind<number> {
  const allowed = `a size such as 64KiB, 16MiB or 1GiB (a bare number is bytes) from ${sizeText(minBytes)} to ${sizeText(maxBytes)}`;
  const convert = (raw: unknown): number | undefined => {
    const match = typeof raw === "string" ? /^(\d+)\s*(B|KiB|MiB|GiB)?$/.exec(raw.trim()) : null;
    const bytes = match ? Number(match[1]) * (UNIT_BYTES[match[2] ?? "B"] ?? NaN) : raw;
    return typeof bytes === "number" && Number.isInteger(bytes) && bytes >= minBytes && bytes <= maxBytes
      ? bytes
      : undefined;
  };
  return { ...one("size", allowed, convert), show: sizeText };
}

/** A number of bytes in its largest unit that leaves no rest. */
export function sizeText(bytes: number): string {
  const units = Object.entries(UNIT_BYTES).toReversed();
  const [unit, unitBytes] = units.find(([, each]) => bytes >= each && bytes % each === 0) ?? ["B", 1];
  return `${bytes / unitBytes}${unit}`;
}

/** A path; `~` is the home folder, and a relative one starts where it was written. */
export function path(): Kind<string> {
  return one("path", "a path", (raw, { folder }) => (isText(raw) ? absolute(raw, folder) : undefined));
}

/** A path, or the word `off`. */
export function pathOrOff(): Kind<string> {
  return one("path|off", "a path, or off", (raw, { folder }) => {
    if (raw === "off") return raw;
    return isText(raw) ? absolute(raw, folder) : undefined;
  });
}

/** Any number of values of a kind. */
export function list<T>(item: Kind<T>): Kind<readonly T[]> {
  return {
    placeholder: item.placeholder,
    allowed: `any number of: ${item.allowed}`,
    many: true,
    read(raw, place) {
      const values: readonly unknown[] =
        typeof raw === "string" ? split(raw, /[\n,]/) : Array.isArray(raw) ? raw : [raw];
      return values.map((value) => item.read(value, place));
    },
    show: (values) => values.map((value) => item.show(value)).join(", "),
  };
}

/** Named targets, as `name=target` texts or as a TOML table. Names are unique. */
export function named<T extends { readonly name: string; readonly target: string }>(
  pattern: RegExp,
  allowed: string,
  make: (name: string, target: string) => T,
): Kind<readonly T[]> {
  return {
    placeholder: "name=target",
    allowed,
    many: true,
    read(raw) {
      const pairs = namedPairs(raw, allowed);
      const seen = new Set<string>();
      for (const [name, target] of pairs) {
        if (!pattern.test(name) || !isText(target))
          throw new BadValue(`must be ${allowed}, not what '${name.slice(0, MAX_NAME_SHOWN)}' has`);
        if (seen.has(name)) throw new BadValue(`names ${shown(name)} twice; names must be unique`);
        seen.add(name);
      }
      return pairs.map(([name, target]) => make(name, String(target)));
    },
    show: (values) => values.map(({ name, target }) => `${name}=${target}`).join(", "),
  };
}

function namedPairs(raw: unknown, allowed: string): readonly (readonly [string, unknown])[] {
  // Commands may contain commas, so in the environment each stands on a line of its own.
  const values: unknown = typeof raw === "string" ? split(raw, /\n/) : raw;
  if (!Array.isArray(values)) {
    if (typeof values === "object" && values !== null) return Object.entries(values);
    throw new BadValue(`must be ${allowed}, not ${shown(raw)}`);
  }
  return values.map((value: unknown) => {
    const pair = typeof value === "string" ? value : "";
    const at = pair.indexOf("=");
    if (at < 1) throw new BadValue(`must be ${allowed}; one has no name`);
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
  });
}

function split(raw: string, separator: RegExp): string[] {
  return raw
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function absolute(raw: string, folder: string): string {
  if (raw === "~") return homedir();
  if (raw.startsWith("~/")) return join(homedir(), raw.slice(2));
  return isAbsolute(raw) ? raw : resolve(folder, raw);
}

function isText(raw: unknown): raw is string {
  return typeof raw === "string" && raw.trim() !== "";
}

function shown(raw: unknown): string {
  const json = JSON.stringify(raw) ?? String(raw);
  return json.length > 80 ? `${json.slice(0, 80)}…` : json;
}
