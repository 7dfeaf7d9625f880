import * as z from "zod";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields, clockAnswer, clockFields } from "./answer.ts";

const count = z.int();

/** Says how the workflow scheduler is. */
export const schedulerStatus: Tool = defineTool({
  name: "p2p_scheduler_status",
  description:
    "How this node's workflow scheduler is: its clock, how many workflow tasks wait here or are in somebody's hands, and how many peers it knows.",
  input: z.strictObject({}),
  output: z.object({
    peer_id: z.string(),
    merkle_clock: z.object(clockFields),
    pending_tasks: count,
    assigned_tasks: count.describe("Of this node's tasks, whoever has them"),
    completed_tasks: count.describe("Ended since the node was started"),
    queue_size: count,
    known_peers: count,
    live_peers: count,
    held_tasks: count.describe("Tasks of any node that this one was given and has not completed"),
    policy: z.enum(["hash", "legacy"]),
    ...answerFields,
  }),
  annotations: reads("Status of the workflow scheduler"),
  grant: "observe",

  async run(_, context) {
    const scheduler = context.scheduler();
    const { pending, assigned, completed, held, knownPeers, livePeers } = await scheduler.status();
    return {
      peer_id: context.selfPeerId,
      merkle_clock: clockAnswer(scheduler.vector),
      pending_tasks: pending,
      assigned_tasks: assigned,
      completed_tasks: completed,
      queue_size: pending,
      known_peers: knownPeers,
      live_peers: livePeers,
      held_tasks: held,
      policy: scheduler.policy,
      ...answeredBy("p2p_scheduler_status", context),
    };
  },
});
