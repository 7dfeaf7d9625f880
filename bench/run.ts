/**
 * The benchmarks: `npm run bench -- [suite…] [--quick] [--check]`.
 *
 * Each suite's figures are printed and written to `bench/results/<suite>.json`. With `--check` the exit code is 1 if
 * a goal of design.md, section 6, is missed or was not measured. README.md says what each figure means.
 */
import { parseArgs } from "node:util";
import { type Figure, isMissed, type Suite } from "./shared/figure.ts";
import { describeMachine } from "./shared/machine.ts";
import { print, write } from "./shared/report.ts";
import { mcp } from "./suites/mcp.ts";
import { nursery } from "./suites/nursery.ts";
import { p2p } from "./suites/p2p.ts";
import { queue } from "./suites/queue.ts";
import { start } from "./suites/start.ts";

const suites: readonly Suite[] = [queue, p2p, mcp, nursery, start];

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, check: { type: "boolean", default: false } },
});
const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(
    `no suite is called ${unknown.join(", ")}; there are ${suites.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

const chosen = positionals.length === 0 ? suites : suites.filter(({ name }) => positionals.includes(name));
const machine = describeMachine();
console.log(
  `${machine.cpu}, ${machine.cores} cores, ${machine.platform}, Node ${machine.node}, load ${machine.load.join(" ")}`,
);
const missed: string[] = [];
for (const suite of chosen) {
  const figures = await suite.run({ quick: values.quick });
  print(`${suite.name}: ${suite.about}`, figures);
  console.log(`  ${write(suite.name, machine, values.quick, figures)}`);
  for (const figure of figures) if (isMissed(figure)) missed.push(nameOf(suite, figure));
}

function nameOf(suite: Suite, { name, value, note = "" }: Figure): string {
  return `${suite.name}: ${name}${value === undefined ? ` was not measured (${note})` : ""}`;
}

if (missed.length > 0) console.log(`\nmissed:\n  ${missed.join("\n  ")}`);
process.exit(values.check && missed.length > 0 ? 1 : 0);
