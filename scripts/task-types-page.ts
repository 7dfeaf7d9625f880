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
  return [
    "# Task types",
    "<!-- Made by scripts/docs.ts from src/task/types.ts; a test compares it. -->",
    "A task may have any type; these are the ones that nodes know how to work on. An alias counts as the type everywhere. A worker claims only what it can do at that moment: `mcpp status` lists it as `task_types`.",
    markdownTable(["Type", "Aliases", "A worker needs", "What is done"], rows),
  ]
    .join("\n\n")
    .concat("\n");
}
