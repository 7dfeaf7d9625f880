import { onOff, text as textKind } from "../../config/kind.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER, TIMEOUT, WAIT_TIMEOUT_MS } from "../options.ts";

const KEY: Option<string> = {
  flag: "key",
  kind: textKind("key", "a key"),
  summary: "Idempotency key: the same key gives the same run, so a repeated command does no harm.",
};
const WAIT: Option<boolean> = {
  flag: "wait",
  kind: onOff(),
  summary: "Wait for the run, and print its output.",
};
const FOLLOW: Option<boolean> = {
  flag: "follow",
  kind: onOff(),
  summary: "Wait, and tell of each change of a step on standard error.",
};

/** Starts a workflow. */
export const flowRun: Command = {
  name: "flow run",
  summary: "Run a workflow file and print the run's id; with --wait, its output.",
  description:
    "The file is YAML or JSON, - is standard input; it is checked before anything is sent. Inputs are key=value words, key:=value for JSON. The run survives restarts of every node.",
  args: [
    { name: "<file>", summary: "The workflow." },
    { name: "[inputs...]", summary: "Values of its inputs: key=value, or one JSON object." },
  ],
  options: [KEY, WAIT, FOLLOW, PEER, TIMEOUT],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp flow run nightly.yaml city=Ulm --follow", does: "with what happens on the way" },
    { line: "mcpp flow run nightly.yaml --key nightly-2026-11-22", does: "once, however often it is called" },
  ],
  json: '{"ok":true,"run_id":string,"peer_id":string,"created":boolean,"run"?:object}, run (as workflow_show gives it) with --wait or --follow',

  async run(invocation) {
    const { outputText, waitForRun, workflowOf } = await import("../flows.ts");
    const { parseToolArguments } = await import("../arguments.ts");
    const { configOf, peerArguments, withNode } = await import("../session.ts");
    const { text } = await import("../tasks.ts");
    const workflow = await workflowOf(firstArgument(invocation));
    const inputs = parseToolArguments(invocation.args.slice(1));
    const peer = invocation.get(PEER);
    const key = invocation.get(KEY);
    const receipt = await withNode(invocation, (session) =>
      session.call("workflow_run", {
        workflow: { ...workflow },
        inputs,
        ...(key !== undefined && { idempotency_key: key }),
        ...peerArguments(peer),
      }),
    );
    const runId = text(receipt, "run_id");
    const follow = invocation.get(FOLLOW) ?? false;
    if (!follow && invocation.get(WAIT) !== true) {
      invocation.out.result(runId, receipt);
      return;
    }
    invocation.out.note(`run ${runId}`);
    const timeoutMs = invocation.get(TIMEOUT) ?? WAIT_TIMEOUT_MS;
    const loaded = configOf(invocation);
    const run = await waitForRun(invocation, { runId, peer, timeoutMs, loaded, follow });
    invocation.out.result(outputText(run), { ...receipt, run });
  },
};
