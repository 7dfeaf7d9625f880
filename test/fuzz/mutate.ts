/** Turns good messages into bad ones: the same each time for the same seed. */
import { isJsonObject } from "../../src/content/json.ts";
import type { Random } from "../support/random.ts";

const DEEP = 200;
const deepArray: unknown = JSON.parse("[".repeat(DEEP) + "]".repeat(DEEP));

/** Values at the edges of what a receiver may expect. */
const EDGES: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 0.5,
  () => 1e308,
  () => -1e-308,
  () => 2 ** 53,
  () => 4_294_967_296,
  () => "",
  () => "x",
  () => "\u0000\uFFFF\uD800",
  () => "٣",
  () => "x".repeat(10_000),
  () => "../../etc/passwd",
  () => "__proto__",
  () => [],
  () => ({}),
  () => [[], {}, null, "x", 1],
  () => Array.from({ length: 500 }, (_, i) => i),
  () => deepArray,
  () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
];

const KEYS = [
  "id",
  "method",
  "params",
  "result",
  "error",
  "jsonrpc",
  "name",
  "arguments",
  "_meta",
  "__proto__",
  "toString",
  "",
];

/** `value` with up to three places changed; still something that JSON can say. */
export function mutateValue(value: unknown, random: Random): unknown {
  const copy = structuredClone(value);
  let mutated: unknown = copy;
  for (let changes = 1 + random.below(3); changes > 0; changes--) mutated = change(mutated, random, 0);
  return mutated;
}

function change(value: unknown, random: Random, depth: number): unknown {
  if (Array.isArray(value) && value.length > 0 && goDeeper(random, depth)) {
    const at = random.below(value.length);
    return value.with(at, change(value[at], random, depth + 1));
  }
  if (!isJsonObject(value)) return random.pick(EDGES)();
  const keys = Object.keys(value);
  const key = keys.length > 0 ? random.pick(keys) : random.pick(KEYS);
  if (goDeeper(random, depth)) return { ...value, [key]: change(value[key], random, depth + 1) };
  switch (random.below(4)) {
    case 0:
      return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
    case 1:
      return { ...value, [random.pick(KEYS)]: random.pick(EDGES)() };
    case 2:
      return { ...value, [key]: value[random.pick(keys.length > 0 ? keys : KEYS)] };
    default:
      return { ...value, [key]: random.pick(EDGES)() };
  }
}

function goDeeper(random: Random, depth: number): boolean {
  return depth < 6 && random.below(4) > 0;
}

/** `bytes` with up to four of them or runs of them changed; rarely nothing but noise. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  if (random.below(20) === 0) return noise(random.below(200), random);
  let mutated = bytes;
  for (let changes = 1 + random.below(4); changes > 0; changes--) mutated = changeBytes(mutated, random);
  return mutated;
}

function changeBytes(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(6)) {
    case 0: {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    }
    case 1:
      return Buffer.concat([before, noise(1 + random.below(8), random), after]);
    case 2:
      return Buffer.concat([before, after.subarray(random.below(16))]);
    case 3:
      return Buffer.concat([before, after.subarray(0, random.below(64)), after]);
    case 4:
      return before;
    default:
      return Buffer.concat([
        before,
        Buffer.from(random.pick(["{", "}", '"', "\\u", "[[[[", "\n", "\r\n", "\0", "-", "9e999"])),
        after,
      ]);
  }
}

function noise(bytes: number, random: Random): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => random.below(256)));
}
