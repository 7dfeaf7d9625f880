/**
 * The vector clock that the old system calls a Merkle clock, byte for byte.
 *
 * Its root is the SHA-256 of a text that Python's `json.dumps` makes of the sorted entries; contract.md 4.1 has the
 * rules, test/vectors/merkle_clock.json the recorded truth. Entries are sorted by code point, which JavaScript's
 * own sort does not do, escaped to ASCII including U+007F, and counted in bigints because peers send counters
 * beyond 2^53. What it costs to read a stranger's clock is bounded.
 */
import { createHash } from "node:crypto";
import { isJsonObject } from "../content/json.ts";
import { integerOf } from "../content/python-json.ts";

/** How many ids a clock holds: far more than the 300 s in which a peer counts as live ever see. */
export const MAX_CLOCK_ENTRIES = 4096;
/** How long an id may be; a peer id has about 52 characters, and ids are free text on the old wire. */
export const MAX_CLOCK_ID_CHARS = 256;
/** How many decimal digits a counter may have: 10^30 is in the vectors, and a longer one only costs memory. */
export const MAX_COUNTER_DIGITS = 40;
/** How long a given root may be; a real one has 64 characters, but a given one is taken as it is. */
const MAX_ROOT_CHARS = 128;

/** A clock as it travels on the old wire. */
export interface ClockJson {
  readonly node_id: string;
  /** Counters up to 2^53 are numbers; greater ones are raw JSON, which `JSON.stringify` writes in full. */
  readonly vector: Readonly<Record<string, unknown>>;
  readonly merkle_root: string;
}

/** The text whose hash is the root of a clock with these entries. */
export function merkleClockText(entries: Iterable<readonly [id: string, count: bigint | number]>): string {
  const sorted = [...entries].sort(([a], [b]) => compareCodePoints(a, b));
  return `[${sorted.map(([id, count]) => `[${asciiJson(id)}, ${BigInt(count)}]`).join(", ")}]`;
}

/** The root of a clock with these entries: 64 lower-case hexadecimal digits. */
export function merkleClockRoot(entries: Iterable<readonly [id: string, count: bigint | number]>): string {
  return createHash("sha256").update(merkleClockText(entries)).digest("hex");
}

/** The clock of one node, which {@link tick} and {@link merge} move on. */
export class VectorClock {
  /** Whose clock it is; "" belongs to nobody and does not tick. */
  readonly nodeId: string;
  readonly #vector: Map<string, bigint>;
  #root: string | undefined;

  /**
   * @param vector - counters by id, copied; the own id is added with 0
   * @param root - taken as it is, unchecked and not renewed until the next tick, as the old system does; absent means computed
   */
  constructor(nodeId: string, vector: ReadonlyMap<string, bigint> = new Map(), root?: string) {
    this.nodeId = nodeId;
    this.#vector = new Map(vector);
    if (nodeId !== "" && !vector.has(nodeId)) this.#vector.set(nodeId, 0n);
    this.#root = root;
  }

  /** The hash of all entries; computed when first asked for. */
  get root(): string {
    this.#root ??= merkleClockRoot(this.#vector);
    return this.#root;
  }

  /** How many ids it holds. */
  get size(): number {
    return this.#vector.size;
  }

  /** The counter of `id`; 0 if it has none. */
  count(id: string): bigint {
    return this.#vector.get(id) ?? 0n;
  }

  /** All ids with their counters, in the order in which they were learnt. */
  entries(): readonly (readonly [id: string, count: bigint])[] {
    return [...this.#vector];
  }

  /**
   * Takes over a greater counter of one id, without an event of its own: nodes that tell each other theirs end with
   * equal clocks, which {@link merge} never does.
   *
   * @returns whether it has changed; not if the id is new and there are {@link MAX_CLOCK_ENTRIES}
   */
  advance(id: string, count: bigint): boolean {
    const known = this.#vector.get(id);
    if (known === undefined ? this.#vector.size >= MAX_CLOCK_ENTRIES : count <= known) return false;
    this.#vector.set(id, count);
    this.#root = undefined;
    return true;
  }

  /** Counts one more event of its node; does nothing if it belongs to nobody. */
  tick(): void {
    if (this.nodeId === "") return;
    this.#vector.set(this.nodeId, this.count(this.nodeId) + 1n);
    this.#root = undefined;
  }

  /**
   * Takes over what `other` knows, the greater counter of each id, and ticks.
   *
   * New ids beyond {@link MAX_CLOCK_ENTRIES} are left out, so that strangers cannot make it grow without end.
   */
  merge(other: VectorClock): void {
    for (const [id, count] of other.#vector) {
      const known = this.#vector.get(id);
      if (known === undefined && this.#vector.size >= MAX_CLOCK_ENTRIES) continue;
      if (known === undefined || count > known) this.#vector.set(id, count);
    }
    this.#root = undefined;
    this.tick();
  }

  /** -1 if this clock is before `other`, 1 if it is after, 0 if they are equal or neither knows all of the other. */
  compare(other: VectorClock): -1 | 0 | 1 {
    let less = false;
    let more = false;
    for (const id of new Set([...this.#vector.keys(), ...other.#vector.keys()])) {
      less ||= this.count(id) < other.count(id);
      more ||= this.count(id) > other.count(id);
    }
    if (less === more) return 0;
    return less ? -1 : 1;
  }

  /** The clock in the shape of the old wire. */
  toJSON(): ClockJson {
    const vector = Object.fromEntries([...this.#vector].map(([id, count]) => [id, jsonInteger(count)]));
    return { node_id: this.nodeId, vector, merkle_root: this.root };
  }
}

/**
 * Reads a clock as the old task-queue service does (variant T): ids as text, empty ids dropped, counters through
 * Python's integer conversion, a given root trusted.
 *
 * @param json - a parsed message; counters beyond 2^53 are exact only if its parser kept them (see python-json.ts)
 * @returns the clock, or undefined if it is none, or larger than the bounds of this file
 */
export function parseClock(json: unknown): VectorClock | undefined {
  if (!isJsonObject(json)) return undefined;
  const { node_id: nodeId = "", vector, merkle_root: root } = json;
  if (typeof nodeId !== "string" || nodeId.length > MAX_CLOCK_ID_CHARS) return undefined;
  const counters = parseVector(vector);
  if (!counters) return undefined;
  if (root === undefined || root === null || root === "") return new VectorClock(nodeId, counters);
  if (typeof root !== "string" || root.length > MAX_ROOT_CHARS) return undefined;
  return new VectorClock(nodeId, counters, root);
}

function parseVector(vector: unknown): Map<string, bigint> | undefined {
  if (!isJsonObject(vector)) return new Map();
  const entries = Object.entries(vector).filter(([id]) => id !== "");
  if (entries.length >= MAX_CLOCK_ENTRIES) return undefined;
  const counters = new Map<string, bigint>();
  for (const [id, value] of entries) {
    const count = pythonInteger(value);
    if (count === undefined || id.length > MAX_CLOCK_ID_CHARS) return undefined;
    counters.set(id, count);
  }
  return counters;
}

/** What Python's `int()` makes of a JSON value; undefined where it raises, or beyond the bound on digits. */
function pythonInteger(value: unknown): bigint | undefined {
  if (typeof value === "boolean") return value ? 1n : 0n;
  const exact = integerOf(value);
  if (exact !== undefined) return bounded(exact);
  if (typeof value === "number")
    return Number.isFinite(value) ? bounded(BigInt(Math.trunc(value))) : undefined;
  if (typeof value !== "string" || value.length > 2 * MAX_COUNTER_DIGITS) return undefined;
  const digits = /^([+-]?)(\d+(?:_\d+)*)$/.exec(value.trim());
  if (!digits) return undefined;
  const size = BigInt((digits[2] ?? "").replaceAll("_", ""));
  return bounded(digits[1] === "-" ? -size : size);
}

const COUNTER_BOUND = 10n ** BigInt(MAX_COUNTER_DIGITS);

function bounded(count: bigint): bigint | undefined {
  return count < COUNTER_BOUND && count > -COUNTER_BOUND ? count : undefined;
}

function compareCodePoints(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length) {
    const x = a.codePointAt(i) ?? 0;
    const y = b.codePointAt(i) ?? 0;
    if (x !== y) return x - y;
    i += x > 0xffff ? 2 : 1;
  }
  return a.length - b.length;
}

/** `text` as Python's `json.dumps` writes it: everything outside U+0020 … U+007E escaped, unit by unit. */
function asciiJson(text: string): string {
  return JSON.stringify(text).replaceAll(
    /[\u007F-\uFFFF]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** ES2025's `JSON.rawJSON`, which the type library does not know yet; Node has it since 22. */
const rawJson: unknown = Reflect.get(JSON, "rawJSON");

function jsonInteger(count: bigint): unknown {
  const number = Number(count);
  if (Number.isSafeInteger(number) || typeof rawJson !== "function") return number;
  const raw: unknown = Reflect.apply(rawJson, JSON, [count.toString()]);
  return raw;
}
