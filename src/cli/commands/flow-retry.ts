import { text } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

const FROM: Option<string> = {
  flag: "from",
  kind: text("step", "the id of a step"),
  summary: "A step to run again though it completed, with all after it.",
};

/** Goes on with a run. */
export const flowRetry: Command = {
  name: "flow retry",
  summary: "Go on with a workflow run that failed or was cancelled.",
  description:
    "Failed steps and those after them run again; completed steps, and completed items of a fan-out, keep their results.",
  args: [{ name: "<run>", summary: "As mcpp flow run printed it." }],
  options: [FROM, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp flow retry 6f1c…", does: "what failed, once more" },
    { line: "mcpp flow retry 6f1c… --from fetch", does: "everything from there on" },
  ],
  json: '{"ok":true,"run_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const runId = firstArgument(invocation);
    const args = { run_id: runId, from: invocation.get(FROM) ?? "", ...peerArguments(invocation.get(PEER)) };
    await withNode(invocation, async (session) => {
      invocation.out.result(`run ${runId} goes on`, await session.call("workflow_retry", args));
    });
  },
};
