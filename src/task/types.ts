/**
 * The task types that nodes know, with all their names: one table for claiming, dispatch, status and the documentation.
 *
 * A queue takes tasks of any other type too; they wait for a worker that names it.
 */

/** What a worker needs for a type. */
export type TaskTypeNeed = "nothing" | "a tool" | "a model" | "a container engine";

/** One type of task. */
export interface TaskType {
  /** The canonical name. */
  readonly type: string;
  /** Other names, from the old system; each stands for `type`. */
  readonly aliases: readonly string[];
  readonly needs: TaskTypeNeed;
  /** What is done: one sentence. */
  readonly summary: string;
}

/** Every type, in the order of the documentation. */
export const TASK_TYPES: readonly TaskType[] = [
  { type: "echo", aliases: [], needs: "nothing", summary: "Gives the payload back." },
  { type: "tool.call", aliases: ["tool"], needs: "a tool", summary: "Calls an MCP tool." },
  {
    type: "text-generation",
    aliases: ["text_generation", "generation"],
    needs: "a model",
    summary: "Continues a text.",
  },
  { type: "chat", aliases: [], needs: "a model", summary: "Gives the next message of a conversation." },
  {
    type: "embedding",
    aliases: ["embeddings"],
    needs: "a model",
    summary: "Turns texts into vectors.",
  },
  {
    type: "docker.execute",
    aliases: ["docker.run", "docker.hub", "docker.execute_docker_container"],
    needs: "a container engine",
    summary: "Runs a container of an image.",
  },
  {
    type: "docker.github",
    aliases: ["docker.github_repo", "docker.build_and_execute_github_repo"],
    needs: "a container engine",
    summary: "Builds an image from a Git repository and runs it.",
  },
  {
    type: "shell",
    aliases: [],
    needs: "a container engine",
    summary: "Runs a program in a container of the worker's own image.",
  },
];

/** The other names of a type; none for one that is not in the table. */
export function aliasesOf(type: string): readonly string[] {
  return TASK_TYPES.find((row) => row.type === type)?.aliases ?? [];
}
