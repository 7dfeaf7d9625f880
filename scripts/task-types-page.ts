/** The reference page of the task types, made from their table. */
import { markdownTable } from "../src/cli/reference.ts";
import { TASK_TYPES } from "../src/task/types.ts";

/** The page about all task types, in Markdown. */
export function taskTypesPage(): string {
  const rows = TASK_TYPES.map(({ type, aliases, needs, summary }) => [
    `\`${type}\``,
    aliases.map((alias) => `\`${alias}\``).join(", ") || "none",
    needs,
    summary,
  ]);
  const bodies = TASK_TYPES.map(({ type, payload, result }) => [`\`${type}\``, payload, result]);
  return [
    "# Task types",
    "<!-- Made by scripts/docs.ts from src/task/types.ts; a test compares it. -->",
    "A task may have any type; these are the ones that nodes know how to work on. An alias counts as the type everywhere. A worker claims only what it can do at that moment: `mcpp status` lists it as `task_types`.",
    markdownTable(["Type", "Aliases", "A worker needs", "What is done"], rows),
    "What goes in and comes out. A value in brackets is what counts if the member is absent; null counts as absent, and 0 as 0.",
    markdownTable(["Type", "Payload", "Result"], bodies),
    "A payload of any type may say who is to do it. `sticky_worker_id` names the one worker that may. `session_id` (or `session`, `p2p_session`) counts for types that need a model: the worker that served the session last has five seconds to take the next task of it; then any may.",
  ]
    .join("\n\n")
    .concat("\n");
}
