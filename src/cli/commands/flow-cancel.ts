import { text } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

const REASON: Option<string> = {
  flag: "reason",
  kind: text("text", "a reason"),
  summary: "Why, for the run's log.",
};

/** Cancels a run. */
export const flowCancel: Command = {
  name: "flow cancel",
  summary: "Cancel a workflow run and its tasks.",
  args: [{ name: "<run>", summary: "As mcpp flow run printed it." }],
  options: [REASON, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: 'mcpp flow cancel 6f1c… --reason "wrong city"', does: "a retry can go on with it later" },
  ],
  json: '{"ok":true,"run_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const runId = firstArgument(invocation);
    const args = {
      run_id: runId,
      reason: invocation.get(REASON) ?? "",
      ...peerArguments(invocation.get(PEER)),
    };
    await withNode(invocation, async (session) => {
      invocation.out.result(`cancelled ${runId}`, await session.call("workflow_cancel", args));
    });
  },
};
