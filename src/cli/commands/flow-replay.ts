import type { Command } from "../command.ts";
import { firstArgument, PEER } from "../options.ts";

/** Decides a run again. */
export const flowReplay: Command = {
  name: "flow replay",
  summary: "Take all decisions of a workflow run again from its event log, and compare.",
  description: "Runs nothing. Exit code 1 if a decision comes out otherwise.",
  args: [{ name: "<run>", summary: "As mcpp flow run printed it." }],
  options: [PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp flow replay 6f1c…", does: "that every decision follows from the log" }],
  json: '{"ok":true,"run_id":string,"identical":boolean,"events":number,"decisions":number,"divergence"?:object}',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { number } = await import("../tasks.ts");
    const { isJsonObject } = await import("../../content/json.ts");
    const args = { run_id: firstArgument(invocation), ...peerArguments(invocation.get(PEER)) };
    await withNode(invocation, async (session) => {
      const answer = await session.call("workflow_replay", args);
      const { identical, divergence } = answer;
      const counts = `${number(answer, "decisions") ?? 0} decisions in ${number(answer, "events") ?? 0} events`;
      const place = isJsonObject(divergence) ? number(divergence, "seq") : undefined;
      const words =
        identical === true
          ? `${counts}, all the same`
          : `${counts}, the one at event ${place ?? "?"} is another`;
      invocation.out.result(words, answer);
      if (identical !== true) invocation.out.exitCode = 1;
    });
  },
};
