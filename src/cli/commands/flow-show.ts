import { onOff } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER, TIMEOUT, WAIT_TIMEOUT_MS } from "../options.ts";

const WAIT: Option<boolean> = {
  flag: "wait",
  kind: onOff(),
  summary: "Wait for the run's end first.",
};

/** Shows a run. */
export const flowShow: Command = {
  name: "flow show",
  summary: "Show a workflow run with its steps.",
  args: [{ name: "<run>", summary: "As mcpp flow run printed it." }],
  options: [WAIT, PEER, TIMEOUT],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp flow show 6f1c…", does: "how far it is" },
    { line: "mcpp flow show 6f1c… --wait --timeout 2h", does: "once it has ended" },
  ],
  json: '{"ok":true,"run":object}, as workflow_show gives it',

  async run(invocation) {
    const { runText, waitForRun } = await import("../flows.ts");
    const { configOf, peerArguments, withNode } = await import("../session.ts");
    const { isJsonObject } = await import("../../content/json.ts");
    const runId = firstArgument(invocation);
    const peer = invocation.get(PEER);
    const { out } = invocation;
    if (invocation.get(WAIT) === true) {
      const timeoutMs = invocation.get(TIMEOUT) ?? WAIT_TIMEOUT_MS;
      const loaded = configOf(invocation);
      const run = await waitForRun(invocation, { runId, peer, timeoutMs, loaded, follow: false });
      out.result(runText(run, out.isTerminal), { ok: true, run });
      return;
    }
    await withNode(invocation, async (session) => {
      const answer = await session.call("workflow_show", { run_id: runId, ...peerArguments(peer) });
      const { run } = answer;
      out.result(isJsonObject(run) ? runText(run, out.isTerminal) : "", answer);
    });
  },
};
