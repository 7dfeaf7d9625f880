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
  /** What the payload has, and the result: for the documentation. */
  readonly payload: string;
  readonly result: string;
}

/** Every type, in the order of the documentation. */
export const TASK_TYPES: readonly TaskType[] = [
  {
    type: "echo",
    aliases: [],
    needs: "nothing",
    summary: "Gives the payload back.",
    payload: "anything; `sleep_ms` (0)",
    result: "`echo`",
  },
  {
    type: "tool.call",
    aliases: ["tool"],
    needs: "a tool",
    summary: "Calls an MCP tool.",
    payload: "`tool` (or `tool_name`, `name`), `args` (or `arguments`, `params`), `retry` (false)",
    result: "`tool`, `result`",
  },
  {
    type: "text-generation",
    aliases: ["text_generation", "generation"],
    needs: "a model",
    summary: "Continues a text.",
    payload:
      "`prompt`, `model_name`, `max_new_tokens` or `max_tokens` (128), `temperature` (0.2), `top_p`, `stop`, `seed`, `presence_penalty`, `frequency_penalty`, `timeout_s`, `session_id`",
    result: "`text`, `model`, `finish_reason`, `usage`",
  },
  {
    type: "chat",
    aliases: [],
    needs: "a model",
    summary: "Gives the next message of a conversation.",
    payload:
      "`messages` of `role` and `content`, and what `text-generation` has but for `prompt`; tokens and temperature are the model's unless given",
    result: "`message`, and what `text-generation` has",
  },
  {
    type: "embedding",
    aliases: ["embeddings"],
    needs: "a model",
    summary: "Turns texts into vectors.",
    payload: "`input`, a text or a list of them, `model_name`, `timeout_s`",
    result: "`embeddings`, `dimensions`, `model`, `usage`",
  },
  {
    type: "docker.execute",
    aliases: ["docker.run", "docker.hub", "docker.execute_docker_container"],
    needs: "a container engine",
    summary: "Runs a container of an image.",
    payload: "`image`, `command`, …: see [containers](../how-to/run-containers-on-a-peer.md)",
    result: "`exit_code`, `stdout`, `stderr`, times",
  },
  {
    type: "docker.github",
    aliases: ["docker.github_repo", "docker.build_and_execute_github_repo"],
    needs: "a container engine",
    summary: "Builds an image from a Git repository and runs it.",
    payload: "`repo_url`, `branch` or `commit`, …: see there",
    result: "the same, `repo_url`, `commit`",
  },
  {
    type: "shell",
    aliases: [],
    needs: "a container engine",
    summary: "Runs a program in a container of the worker's own image.",
    payload: "`argv`, `timeout_s` (300)",
    result: "the same, `returncode`",
  },
];

/** The other names of a type; none for one that is not in the table. */
export function aliasesOf(type: string): readonly string[] {
  return TASK_TYPES.find((row) => row.type === type)?.aliases ?? [];
}
