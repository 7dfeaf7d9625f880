import { onOff, text } from "../../config/kind.ts";
import { InvalidInputError } from "../../errors.ts";
import type { Command, Option } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

const REJECT: Option<boolean> = {
  flag: "reject",
  kind: onOff(),
  summary: "Say no: the step fails.",
};
const COMMENT: Option<string> = {
  flag: "comment",
  kind: text("text", "a comment"),
  summary: "In words, for the log and the steps after it.",
};
const VALUE: Option<string> = {
  flag: "value",
  kind: text("json", "JSON"),
  summary: "A value for the steps after it, as JSON.",
};

/** Answers an approval step. */
export const flowApprove: Command = {
  name: "flow approve",
  summary: "Answer a step of a workflow run that waits for a person.",
  args: [
    { name: "<run>", summary: "As mcpp flow list --asking shows it." },
    { name: "<step>", summary: "The step that waits." },
  ],
  options: [REJECT, COMMENT, VALUE, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp flow approve 6f1c… release", does: "yes" },
    { line: 'mcpp flow approve 6f1c… release --reject --comment "not on a Friday"', does: "no, and why" },
  ],
  json: '{"ok":true,"run_id":string}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const runId = firstArgument(invocation);
    const [, step] = invocation.args;
    if (step === undefined) throw new InvalidInputError("the step is missing");
    const approved = invocation.get(REJECT) !== true;
    const value = valueOf(invocation.get(VALUE));
    const args = {
      run_id: runId,
      step,
      approved,
      comment: invocation.get(COMMENT) ?? "",
      ...(value !== undefined && { value }),
      ...peerArguments(invocation.get(PEER)),
    };
    await withNode(invocation, async (session) => {
      const answer = await session.call("workflow_approve", args);
      invocation.out.result(`${step}: ${approved ? "approved" : "rejected"}`, answer);
    });
  },
};

function valueOf(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new InvalidInputError(`--value must be JSON; text needs quotes: '"text"'`, { cause: error });
  }
}
