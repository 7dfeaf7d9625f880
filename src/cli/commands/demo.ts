import { integer } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";

/** What a demonstration submits if nothing is said. */
const DEFAULT_TASKS = 60;
/** Below this there is no middle in which to kill a worker; above it takes minutes. */
const MIN_TASKS = 20;
const MAX_TASKS = 1000;

const TASKS: Option<number> = {
  flag: "tasks",
  kind: integer("n", MIN_TASKS, MAX_TASKS),
  summary: `How many tasks to submit. Default ${DEFAULT_TASKS}.`,
};

/** Shows the product at work. */
export const demo: Command = {
  name: "demo",
  summary: "Show it at work: three nodes, durable tool calls, one worker killed in the middle, nothing lost.",
  description:
    "Takes about half a minute and stays on this machine: three node processes find each other through announce files; tool calls go in at one as durable tasks; the other two work on them with a mounted MCP server; one of the two is killed with SIGKILL. Exits 1 unless every task was completed exactly once.",
  args: [],
  options: [TASKS],
  settings: [],
  client: false,
  examples: [
    { line: "mcpp demo", does: "a table that changes, then a summary" },
    { line: "mcpp demo --tasks 200 --json", does: "the summary for programs" },
  ],
  json: '{"ok":boolean,"tasks":number,"completed_once":number,"missing":string[],"repeated":string[],"taken_over":number,"by_worker":{[name]:number},"killed":string,"p50_ms":number,"p99_ms":number,"total_ms":number}',

  async run(invocation) {
    const { runDemo } = await import("./demo-run.ts");
    await runDemo(invocation.get(TASKS) ?? DEFAULT_TASKS, invocation.out);
  },
};
