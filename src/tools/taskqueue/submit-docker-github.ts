import * as z from "zod";
import { acts } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { dockerPayload, runFields, textMapField } from "./docker.ts";
import { submitOne, submittedSchema } from "./new-task.ts";
import { settingsIn } from "../../task/payload-settings.ts";
import { deadlineOf, targetFields, timeoutField } from "./target.ts";

/** Queues "clone, build, run". */
export const submitDockerGithub: Tool = defineTool({
  name: "p2p_taskqueue_submit_docker_github",
  description:
    "Queue a durable task that clones a Git repository, builds its Dockerfile and runs the image; return the task's id. p2p_taskqueue_wait_task then gives exit code and output.",
  input: z.strictObject({
    repo_url: z.string().trim().min(1).describe("Repository to clone, e.g. https://github.com/owner/name"),
    branch: z.string().trim().min(1).default("main").describe("Branch to check out"),
    dockerfile_path: z
      .string()
      .trim()
      .min(1)
      .default("Dockerfile")
      .describe("Dockerfile, relative to the repository"),
    context_path: z.string().trim().min(1).default(".").describe("Build context, relative to the repository"),
    ...runFields,
    build_args: textMapField.describe("Build arguments"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: submittedSchema,
  annotations: acts("Build and run a repository"),
  grant: "submit",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const payload = dockerPayload(input);
    const type = input.task_type ?? "docker.github";
    return submitOne({ type, modelName: input.model_name, payload, ...settingsIn(payload) }, input, context);
  },
});
