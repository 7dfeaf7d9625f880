import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Checks a workflow file. */
export const flowCheck: Command = {
  name: "flow check",
  summary: "Check a workflow file without running it.",
  description: "Needs no node. Everything that is wrong is told with file, line and column.",
  args: [{ name: "<file>", summary: "The workflow; - is standard input." }],
  options: [],
  settings: [],
  client: false,
  examples: [{ line: "mcpp flow check nightly.yaml", does: "what is wrong, or how many steps it has" }],
  json: '{"ok":true,"name":string,"steps":number}',

  async run(invocation) {
    const { workflowOf } = await import("../flows.ts");
    const file = firstArgument(invocation);
    const { name, steps } = await workflowOf(file);
    invocation.out.result(`${file}: workflow ${name}, ${steps.length} steps`, {
      ok: true,
      name,
      steps: steps.length,
    });
  },
};
