import { choice, integer, list, text } from "../../config/kind.ts";
import type { JsonObject } from "../../content/json.ts";
import type { Command, Invocation, Option } from "../command.ts";
import { PEER } from "../options.ts";

/** The page limit of task/queue.ts, without loading it: the node checks again. */
const MAX_LIMIT = 1000;

const STATE: Option<string> = {
  flag: "state",
  kind: choice("queued", "running", "completed", "failed", "cancelled"),
  summary: "Only tasks in this state.",
};
const TYPE: Option<readonly string[]> = {
  flag: "type",
  kind: list(text("type", "a task type")),
  summary: "Only tasks of this type.",
};
const LIMIT: Option<number> = {
  flag: "limit",
  kind: integer("n", 1, MAX_LIMIT),
  summary: "At most so many. Default 50.",
};
const CURSOR: Option<string> = {
  flag: "cursor",
  kind: text("cursor", "a cursor"),
  summary: "Go on where the list before ended.",
};

/** Lists tasks. */
export const tasks: Command = {
  name: "tasks",
  summary: "List the tasks of a queue, oldest first.",
  description:
    "A table on a terminal; elsewhere lines of id, state, type, attempt, worker and age, separated by tabs.",
  args: [],
  options: [STATE, TYPE, LIMIT, CURSOR, PEER],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp tasks", does: "the first 50" },
    { line: "mcpp tasks --state failed --json", does: "with all that is known, for programs" },
  ],
  json: '{"ok":true,"tasks":object[],"next_cursor":string|null}, tasks as p2p_taskqueue_list_tasks gives them',

  async run(invocation) {
    const { peerArguments, withNode } = await import("../session.ts");
    const { rows } = await import("../tasks.ts");
    const { table } = await import("../table.ts");
    const args = { ...filter(invocation), ...peerArguments(invocation.get(PEER)) };
    await withNode(invocation, async (session) => {
      const answer = await session.call("p2p_taskqueue_list_tasks", args);
      const lines = await Promise.all(rows(answer, "tasks").map(line));
      const header = ["TASK", "STATE", "TYPE", "ATTEMPT", "WORKER", "AGE"];
      const empty = invocation.out.isTerminal && lines.length === 0;
      invocation.out.result(
        empty ? "no tasks" : table(lines, invocation.out.isTerminal ? header : undefined),
        answer,
      );
      const cursor = answer["next_cursor"];
      if (typeof cursor === "string") invocation.out.note(`there are more: mcpp tasks --cursor ${cursor}`);
    });
  },
};

function filter(invocation: Invocation): JsonObject {
  const cursor = invocation.get(CURSOR);
  const limit = invocation.get(LIMIT);
  return {
    status: invocation.get(STATE) ?? "",
    task_types: invocation.get(TYPE) ?? null,
    bodies: false,
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  };
}

async function line(row: JsonObject): Promise<readonly string[]> {
  const { number, text: member } = await import("../tasks.ts");
  const { age } = await import("../table.ts");
  const createdAtMs = (number(row, "created_at") ?? 0) * 1000;
  const attempts = `${number(row, "attempt") ?? 0}/${number(row, "max_attempts") ?? "?"}`;
  const type = member(row, "task_type");
  return [
    member(row, "task_id"),
    member(row, "status"),
    type,
    attempts,
    member(row, "assigned_worker") || "-",
    age(Date.now() - createdAtMs),
  ];
}
