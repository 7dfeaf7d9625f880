/** The map of the house, as a test: who may import whom, and the limits that keep files readable. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { describe, it } from "node:test";

const ROOT = resolve(import.meta.dirname, "..");
const SRC = join(ROOT, "src");

const BASE = ["nursery", "content", "errors", "clock", "logger", "process", "version"];
const DOMAIN = ["authority", "peer", "task", "cache", "workflow"];
const WIRING = ["node", "connect", "config", "data-folder"];

/** What each room, or file at the root of src/, may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  clock: [],
  logger: [],
  process: [],
  version: [],
  nursery: ["clock"],
  content: ["errors"],
  authority: BASE,
  peer: [...BASE, "authority"],
  task: [...BASE, "authority", "peer"],
  cache: [...BASE, "authority", "peer"],
  workflow: [...BASE, "authority", "peer", "task"],
  tools: [...BASE, ...DOMAIN],
  server: [...BASE, ...DOMAIN, "tools"],
  client: [...BASE, ...DOMAIN],
  store: [...BASE, ...DOMAIN],
  worker: [...BASE, ...DOMAIN],
  p2p: [...BASE, ...DOMAIN],
  discovery: [...BASE, ...DOMAIN, "p2p"],
  transport: [...BASE, ...DOMAIN, "p2p"],
  config: BASE,
  "data-folder": BASE,
  sim: [...BASE, ...DOMAIN, "store", "worker"],
  connect: [...BASE, ...DOMAIN, "client", "transport", "p2p", "discovery", "config", "data-folder"],
  node: [
    ...BASE,
    ...DOMAIN,
    "tools",
    "server",
    "client",
    "store",
    "worker",
    "p2p",
    "discovery",
    "transport",
    "config",
    "data-folder",
  ],
  cli: [...BASE, ...DOMAIN, ...WIRING, "client", "discovery", "sim", "store"],
  index: [...BASE, ...DOMAIN, ...WIRING, "client", "server", "tools", "store", "worker"],
};

/** Words that say nothing about what a thing is. */
const EMPTY_WORDS = /(^|[-/])(manager|helper|helpers|util|utils|base|impl|wrapper|data|info)s?\.ts$/;

/** Files at the root of src/ whose name has one of those words in its proper sense. */
const PROPER_NAMES: ReadonlySet<string> = new Set(["data-folder.ts"]);

const MAX_FILE_LINES = 400;
const MAX_MEDIAN_LINES = 120;

interface Source {
  readonly path: string;
  readonly text: string;
}

function sourcesUnder(folder: string): Source[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((entry) => entry.endsWith(".ts"))
    .map((entry) => ({ path: join(folder, entry), text: readFileSync(join(folder, entry), "utf8") }));
}

function importsOf(source: Source): string[] {
  const specifiers = source.text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g);
  return [...specifiers].map((match) => resolve(dirname(source.path), match[1] ?? ""));
}

function roomOf(path: string): string {
  const [first = ""] = relative(SRC, path).split(sep);
  return first.replace(/\.ts$/, "");
}

function name(source: Source): string {
  return relative(ROOT, source.path);
}

const sources = sourcesUnder(SRC);

describe("the house", () => {
  it("has a place on the map for every file", () => {
    const unknown = sources.filter((source) => !(roomOf(source.path) in MAY_IMPORT)).map(name);
    assert.deepEqual(unknown, []);
  });

  it("imports only downwards", () => {
    const upward = sources.flatMap((source) => {
      const room = roomOf(source.path);
      const allowed = new Set([room, ...(MAY_IMPORT[room] ?? [])]);
      return importsOf(source)
        .filter((target) => !allowed.has(roomOf(target)))
        .map((target) => `${name(source)} → ${relative(ROOT, target)}`);
    });
    assert.deepEqual(upward, []);
  });

  it("has no import cycle", () => {
    const edges = new Map(sources.map((source) => [source.path, importsOf(source)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (done.has(path)) return;
      if (trail.includes(path)) {
        cycles.push(
          [...trail.slice(trail.indexOf(path)), path].map((step) => relative(SRC, step)).join(" → "),
        );
        return;
      }
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const source of sources) visit(source.path, []);
    assert.deepEqual(cycles, []);
  });

  it("keeps files short", () => {
    const lines = sources.map((source) => ({
      name: name(source),
      count: source.text.split("\n").length - 1,
    }));
    assert.deepEqual(
      lines.filter((file) => file.count > MAX_FILE_LINES),
      [],
    );
    const median =
      lines.map((file) => file.count).toSorted((a, b) => a - b)[Math.floor(lines.length / 2)] ?? 0;
    assert.ok(median <= MAX_MEDIAN_LINES, `the median file has ${median} lines`);
  });

  it("names files by what they are", () => {
    const vague = sources.filter(
      (source) => EMPTY_WORDS.test(name(source)) && !PROPER_NAMES.has(relative(SRC, source.path)),
    );
    assert.deepEqual(vague.map(name), []);
  });

  it("documents everything that is exported", () => {
    const declaration =
      /^export (?:declare )?(?:abstract )?(?:async )?(?:function|class|interface|type|const|let)\*? \w/;
    const bare = sources.flatMap((source) => {
      const lines = source.text.split("\n");
      return lines.flatMap((line, index) => {
        const before = lines[index - 1]?.trim() ?? "";
        const overload =
          /^export (?:async )?function/.test(line) && /^export (?:async )?function/.test(before);
        return declaration.test(line) && !before.endsWith("*/") && !overload
          ? [`${name(source)}:${index + 1}`]
          : [];
      });
    });
    assert.deepEqual(bare, []);
  });

  it("mirrors src/ in test/: every test file of a room belongs to a room that exists", () => {
    const known = new Set(Object.keys(MAY_IMPORT));
    const others = new Set([
      "support",
      "e2e",
      "abuse",
      "faults",
      "fuzz",
      "interop",
      "network",
      "model",
      "network",
      "vectors",
      "conformance",
      "architecture.test",
      "docs.test",
      "package.test",
    ]);
    const strays = readdirSync(join(ROOT, "test"))
      .map((entry) => entry.replace(/\.ts$/, ""))
      .filter((entry) => !known.has(entry.replace(/\.test$/, "")) && !others.has(entry));
    assert.deepEqual(strays, []);
  });
});
