import { choice, integer, onOff, text as textKind } from "../../config/kind.ts";
import type { JsonObject } from "../../content/json.ts";
import type { Command, Option } from "../command.ts";
import { PEER } from "../options.ts";

/** The page limit of workflow/run/limits.ts, without loading it: the node checks again. */
const MAX_LIMIT = 500;

const STATE: Option<string> = {
  flag: "state",
  kind: choice("running", "completed", "failed", "cancelled"),
  summary: "Only runs in this state.",
};
const WORKFLOW: Option<string> = {
  flag: "workflow",
  kind: textKind("name", "a name"),
  summary: "Only runs of this workflow.",
};
const ASKING: Option<boolean> = {
  flag: "asking",
  kind: onOff(),
  summary: "Only runs that wait for an answer.",
};
const LIMIT: Option<number> = {
  flag: "limit",
  kind: integer("n", 1, MAX_LIMIT),
  summary: "At most so many. Default 50.",
};
const CURSOR: Option<string> = {
  flag: "cursor",
  kind: textKind("cursor", "a cursor"),
  summary: "Go on where the list before ended.",
};

/** Lists runs. */
export const flowList: Command = {
  name: "flow list",
  summary: "List workflow runs, newest first.",
  description:
    "A table on a terminal; elsewhere lines of id, workflow, state, events and age, separated by tabs. `running?` is a run that waits for an answer.",
  args: [],
  options: [STATE, WORKFLOW, ASKING, LIMIT, CURSOR, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [{ line: "mcpp flow list --asking", does: "what waits for you" }],
  json: '{"ok":true,"runs":object[],"next_cursor":string|null}, runs as workflow_list gives them',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { rows } = await import("../tasks.ts");
    const { table } = await import("../table.ts");
    const limit = invocation.get(LIMIT);
    const cursor = invocation.get(CURSOR);
    const asking = invocation.get(ASKING);
    const args = {
      state: invocation.get(STATE) ?? "",
      workflow: invocation.get(WORKFLOW) ?? "",
      ...(asking !== undefined && { waits_for_approval: asking }),
      ...(limit !== undefined && { limit }),
      ...(cursor !== undefined && { cursor }),
      ...peerArguments(invocation.get(PEER)),
    };
    await withNode(invocation, async (session) => {
      const answer = await session.call("workflow_list", args);
      const lines = await Promise.all(rows(answer, "runs").map(line));
      const { isTerminal } = invocation.out;
      const header = ["RUN", "WORKFLOW", "STATE", "EVENTS", "AGE"];
      const shown =
        isTerminal && lines.length === 0 ? "no runs" : table(lines, isTerminal ? header : undefined);
      invocation.out.result(shown, answer);
      const next = answer["next_cursor"];
      if (typeof next === "string") invocation.out.note(`there are more: mcpp flow list --cursor ${next}`);
    });
  },
};

async function line(run: JsonObject): Promise<readonly string[]> {
  const { number, text } = await import("../tasks.ts");
  const { age } = await import("../table.ts");
  const createdAtMs = (number(run, "created_at") ?? 0) * 1000;
  const state = text(run, "state") + (run["waits_for_approval"] === true ? "?" : "");
  const events = String(number(run, "events") ?? 0);
  return [text(run, "run_id"), text(run, "workflow"), state, events, age(Date.now() - createdAtMs)];
}
