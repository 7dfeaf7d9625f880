import { text } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

const REASON: Option<string> = {
  flag: "reason",
  kind: text("text", "a reason"),
  summary: "Why, for the task's history.",
};

/** Cancels a task. */
export const cancel: Command = {
  name: "cancel",
  summary: "Cancel a queued or running task.",
  args: [{ name: "<task-id>", summary: "As mcpp submit printed it." }],
  options: [REASON, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    {
      line: `mcpp cancel 6f1c… --reason "no longer needed"`,
      does: "a running one stops at once",
    },
  ],
  json: '{"ok":true,"task_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const taskId = firstArgument(invocation);
    const args = {
      task_id: taskId,
      reason: invocation.get(REASON) ?? "",
      ...peerArguments(invocation.get(PEER)),
    };
    await withNode(invocation, async (session) => {
      const answer = await session.call("p2p_taskqueue_cancel_task", args);
      invocation.out.result(`cancelled ${taskId}`, answer);
    });
  },
};
