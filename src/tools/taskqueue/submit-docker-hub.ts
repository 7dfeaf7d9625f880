import * as z from "zod";
import { acts } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { dockerPayload, runFields, textMapField } from "./docker.ts";
import { submitOne, submittedSchema } from "./new-task.ts";
import { settingsIn } from "../../task/payload-settings.ts";
import { deadlineOf, targetFields, timeoutField } from "./target.ts";

/** Queues a container run. */
export const submitDockerHub: Tool = defineTool({
  name: "p2p_taskqueue_submit_docker_hub",
  description:
    "Queue the run of a container image as a durable task and return its id. A worker with Docker runs it; p2p_taskqueue_wait_task then gives exit code and output.",
  input: z.strictObject({
    image: z.string().trim().min(1).describe("Image to run, e.g. python:3.12"),
    ...runFields,
    volumes: textMapField.describe("Mounts: host path to container path, with :ro if read-only"),
    ...targetFields,
    timeout_s: timeoutField(),
  }),
  output: submittedSchema,
  annotations: acts("Run a container image"),
  grant: "submit",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const payload = dockerPayload(input);
    const type = input.task_type ?? "docker.execute";
    return submitOne({ type, modelName: input.model_name, payload, ...settingsIn(payload) }, input, context);
  },
});
