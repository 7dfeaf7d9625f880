import * as z from "zod";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, namesSomebody, targetFields, targetOf, timeoutField } from "./target.ts";

/** Asks a node how it is. */
export const status: Tool = defineTool({
  name: "p2p_taskqueue_status",
  description:
    "Ask a node whether it is up and which task types it can run. With `detail`, also which peers and workers it knows and how full its queue is.",
  input: z.strictObject({
    ...targetFields,
    timeout_s: timeoutField(10),
    detail: z
      .boolean()
      .default(false)
      .describe("Also report scheduler, known peers and worker configuration"),
  }),
  output: z.looseObject({
    ok: z.boolean(),
    peer_id: z.string().optional().describe("Peer id of the node that answered"),
    capabilities: z.looseObject({}).optional().describe("What it can do: task_types, models, …"),
  }),
  annotations: reads("Node status"),
  // Asking another node makes this one dial it, which is more than everybody may.
  grant: (input) => (input.detail || namesSomebody(input) ? "observe" : "status"),
  deadlineMs: deadlineOf,

  async run(input, context) {
    return {
      ok: true,
      ...(await context.status(targetOf(input), input.detail, { timeoutMs: deadlineOf(input) })),
    };
  },
});
