import { createWriteStream, type WriteStream } from "node:fs";
import { once } from "node:events";
import { choice, durationText, integer, path, text } from "../../config/kind.ts";

import { currentSignal } from "../../nursery/index.ts";
import type { SimulationReport } from "../../sim/index.ts";
import type { Command, Invocation, Option } from "../command.ts";

const MAX_SEEDS = 1_000_000;
const MAX_SEED = 2 ** 32 - 1;
const MAX_PEERS = 100;
const MAX_TASKS = 100_000;

const SEEDS: Option<number> = {
  flag: "seeds",
  kind: integer("n", 1, MAX_SEEDS),
  summary: "How many simulations to run, each from the next seed. Default 1.",
};
const SEED: Option<number> = {
  flag: "seed",
  kind: integer("n", 0, MAX_SEED),
  summary: "The first seed. Default 1.",
};
const PEERS: Option<number> = {
  flag: "peers",
  kind: integer("n", 1, MAX_PEERS),
  summary: "How many nodes. Default 20.",
};
const TASKS: Option<number> = {
  flag: "tasks",
  kind: integer("n", 0, MAX_TASKS),
  summary: "How many workflow tasks are submitted. Default 500.",
};
const FAULTS: Option<string> = {
  flag: "faults",
  kind: text("kinds", "all, none, or some of partition,delay,duplicate,loss,skew,crash,pause"),
  summary: "What goes wrong. Default all.",
};
const POLICY: Option<"hash" | "legacy"> = {
  flag: "policy",
  kind: choice("hash", "legacy"),
  summary: "How tasks are assigned. Default hash.",
};
const TRACE: Option<string> = {
  flag: "trace",
  kind: path(),
  summary: "File for every line of what happens.",
};

/** Runs the scheduler for many nodes on virtual time. */
export const sim: Command = {
  name: "sim",
  summary: "Simulate many nodes with faults, and check that no task is lost, stuck or accepted twice.",
  description:
    "Runs this program's own scheduling code on virtual time and a virtual network; nothing leaves this process. The same seed does the same again, line by line. Exit code 0: every promise was kept; 1: one was broken, and the seed is named.",
  args: [],
  options: [SEEDS, SEED, PEERS, TASKS, FAULTS, POLICY, TRACE],
  settings: [],
  client: false,
  examples: [
    { line: "mcpp sim", does: "20 nodes, 500 tasks, every kind of fault" },
    { line: "mcpp sim --seeds 1000", does: "a thousand times, each time other faults" },
    {
      line: "mcpp sim --peers 3 --faults crash --trace trace.txt",
      does: "what if nodes crash, step by step",
    },
  ],
  json: '{"ok":boolean,"runs":number,"broken":{"seed":number,"violations":{"atMs":number,"promised":string,"seen":string}[]}[],"completed":number,"grants":number,"p50_ms":number,"p99_ms":number,"duration_ms":number,"messages":number,"trace":string}',

  async run(invocation) {
    const { out } = invocation;
    const first = invocation.get(SEED) ?? 1;
    const runs = invocation.get(SEEDS) ?? 1;
    const reports: SimulationReport[] = [];
    await using trace = openTrace(invocation.get(TRACE));
    for (let seed = first; seed < first + runs; seed++) {
      out.live([`seed ${seed}, ${reports.length} of ${runs} done`]);
      reports.push(await simulateOne(invocation, seed, trace.write));
    }
    const broken = reports.filter(({ violations }) => violations.length > 0);
    if (broken.length > 0) out.exitCode = 1;
    out.result(textOf(reports, broken), summaryOf(reports, broken));
  },
};

async function simulateOne(
  invocation: Invocation,
  seed: number,
  onLine: ((line: string) => void) | undefined,
): Promise<SimulationReport> {
  const { parseFaults, simulate } = await import("../../sim/index.ts");
  const faults = parseFaults(invocation.get(FAULTS) ?? "all");
  const sizes = {
    peers: invocation.get(PEERS),
    tasks: invocation.get(TASKS),
    policy: invocation.get(POLICY),
  };
  return simulate({ seed, ...sizes, faults, onLine, signal: currentSignal() });
}

interface Trace extends AsyncDisposable {
  readonly write: ((line: string) => void) | undefined;
}

function openTrace(file: string | undefined): Trace {
  if (file === undefined) return { write: undefined, [Symbol.asyncDispose]: async () => undefined };
  const stream: WriteStream = createWriteStream(file);
  const finished = once(stream, "finish");
  return {
    write: (line) => {
      stream.write(`${line}\n`);
    },
    async [Symbol.asyncDispose]() {
      stream.end();
      await finished;
    },
  };
}

function summaryOf(reports: readonly SimulationReport[], broken: readonly SimulationReport[]): object {
  const sum = (of: (report: SimulationReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  const most = (of: (report: SimulationReport) => number): number => Math.max(...reports.map(of));
  return {
    ok: broken.length === 0,
    runs: reports.length,
    broken: broken.map(({ seed, violations }) => ({ seed, violations })),
    completed: sum(({ completed }) => completed),
    grants: sum(({ grants }) => grants),
    p50_ms: Math.round(sum(({ p50Ms }) => p50Ms) / reports.length),
    p99_ms: most(({ p99Ms }) => p99Ms),
    duration_ms: most(({ durationMs }) => durationMs),
    messages: sum(({ network }) => network.messages),
    trace: reports[0]?.trace ?? "",
  };
}

function textOf(reports: readonly SimulationReport[], broken: readonly SimulationReport[]): string {
  const lines = broken.flatMap(({ seed, violations }) => [
    `seed ${seed} broke a promise:`,
    ...violations.map(({ atMs, promised, seen }) => `  after ${durationText(atMs)}, ${promised}: ${seen}`),
    `  see it happen: mcpp sim --seed ${seed} --trace trace.txt, with the same --peers, --tasks and --faults`,
  ]);
  const tasks = reports.reduce((total, { completed }) => total + completed, 0);
  const again = reports.reduce((total, { grants, completed }) => total + grants - completed, 0);
  const longest = Math.max(...reports.map(({ durationMs }) => durationMs));
  return [
    ...lines,
    `${reports.length} ${reports.length === 1 ? "run" : "runs"}, ${broken.length} broken; ${tasks} tasks done once each, begun anew ${again} times; the longest run took ${durationText(longest)} of virtual time`,
    ...reports.slice(0, 1).map(timesOf),
  ].join("\n");
}

function timesOf({ seed, p50Ms, p99Ms, trace }: SimulationReport): string {
  const [half, most] = [durationText(p50Ms), durationText(p99Ms)];
  return `seed ${seed}: half of the tasks were done within ${half}, 99 of 100 within ${most}; trace ${trace.slice(0, 16)}`;
}
