import type { Command } from "../command.ts";
import { firstArgument, FOLLOW, PEER, TIMEOUT, WAIT_TIMEOUT_MS } from "../options.ts";

/** Waits for a task. */
export const wait: Command = {
  name: "wait",
  summary: "Wait until a task has ended, and print its result.",
  description:
    "Waits 5 minutes unless --timeout says otherwise. Once connected it outlives the node's restarts. When the time is up the task lives on: wait again with the same id.",
  args: [{ name: "<task-id>", summary: "As mcpp submit printed it." }],
  options: [FOLLOW, PEER, TIMEOUT],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp wait 6f1c…", does: "the result, or exit code 2 and the reason" },
    { line: "mcpp wait 6f1c… --timeout 2h", does: "for long tasks" },
    { line: "mcpp wait 6f1c… --follow", does: "what it writes, while it writes it" },
  ],
  json: '{"ok":true,"task":object}, as p2p_taskqueue_get_task gives it; with --follow a line {"event":"log"|"text"|"progress"|"status"|"missed", …} for each piece of news before it',

  async run(invocation) {
    const { resultText, waitForTask } = await import("../tasks.ts");
    const { configOf } = await import("../session.ts");
    const task = await waitForTask(invocation, {
      taskId: firstArgument(invocation),
      peer: invocation.get(PEER),
      follow: invocation.get(FOLLOW),
      timeoutMs: invocation.get(TIMEOUT) ?? WAIT_TIMEOUT_MS,
      loaded: configOf(invocation),
    });
    invocation.out.result(resultText(task), { ok: true, task });
  },
};
