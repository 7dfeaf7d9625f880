/** Figures for people and, as JSON, for programs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Figure, isMissed } from "./figure.ts";
import type { Machine } from "./machine.ts";

const FOLDER = join(import.meta.dirname, "..", "results");

/** Prints the figures of a suite, ratios first. */
export function print(suite: string, figures: readonly Figure[]): void {
  console.log(`\n${suite}`);
  for (const figure of figures.toSorted((a, b) => rank(a) - rank(b))) console.log(line(figure));
}

function rank({ goal, unit }: Figure): number {
  if (goal) return 0;
  return unit === "×" ? 1 : 2;
}

function line(figure: Figure): string {
  const { name, value, unit, goal, note } = figure;
  const number = value === undefined ? "n/a" : short(value);
  const limit = goal && ("atMost" in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`);
  const missed = isMissed(figure) ? (value === undefined ? "  NOT MEASURED" : "  MISSED") : "";
  const verdict = limit === undefined ? "" : `  goal ${limit}${missed}`;
  return `${number.padStart(10)} ${unit.padEnd(6)}  ${name}${verdict}${note === undefined ? "" : `  (${note})`}`;
}

function short(value: number): string {
  if (Math.abs(value) >= 1000) return value.toFixed(0);
  return value.toPrecision(3);
}

/** Writes the figures of a suite to `bench/results/<suite>.json`. @returns the file's path */
export function write(suite: string, machine: Machine, quick: boolean, figures: readonly Figure[]): string {
  mkdirSync(FOLDER, { recursive: true });
  const path = join(FOLDER, `${suite}.json`);
  const result = { suite, at: new Date().toISOString(), quick, machine, figures };
  writeFileSync(path, `${JSON.stringify(result, undefined, 2)}\n`);
  return path;
}
