import type { JsonObject } from "../../content/json.ts";
import type { Command } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

/** Says why a run is where it is. */
export const flowExplain: Command = {
  name: "flow explain",
  summary: "Say for each step of a workflow run who has it and why, and why it waits.",
  args: [{ name: "<run>", summary: "As mcpp flow run printed it." }],
  options: [PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp flow explain 6f1c…", does: "why it is not done yet" }],
  json: '{"ok":true,"run_id":string,"state":string,"why":string,"steps":object[]}, as workflow_explain gives it',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { rows, text } = await import("../tasks.ts");
    const args = { run_id: firstArgument(invocation), ...peerArguments(invocation.get(PEER)) };
    await withNode(invocation, async (session) => {
      const answer = await session.call("workflow_explain", args);
      const steps = await Promise.all(rows(answer, "steps").map(lines));
      invocation.out.result([text(answer, "why"), ...steps.flat()].join("\n"), answer);
    });
  },
};

async function lines(step: JsonObject): Promise<readonly string[]> {
  const { number, rows, text } = await import("../tasks.ts");
  const placement = text(step, "placement");
  const where = placement === "anywhere" ? "" : ` [${placement}]`;
  const tasks = rows(step, "tasks").map((task) => {
    const item = number(task, "item");
    const name = item === undefined ? "task" : `item ${item}`;
    return `    ${name} ${text(task, "taskId")}: ${text(task, "why")}`;
  });
  return [`${text(step, "id")} (${text(step, "state")})${where}: ${text(step, "why")}`, ...tasks];
}
