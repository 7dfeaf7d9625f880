import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { sets } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, remoteFields, targetOf, timeoutField } from "./target.ts";

/** Tells a node that a peer is alive. */
export const heartbeat: Tool = defineTool({
  name: "p2p_taskqueue_heartbeat",
  description:
    "Tell a node that a peer is alive, so that it counts as a possible worker. Answers the node's vector clock and the peers it knows.",
  input: z.strictObject({
    peer_id: z.string().trim().min(1).max(MAX_NAME_CHARS).describe("The peer that is alive"),
    clock: jsonObject.nullish().describe("Its vector clock: node_id, vector"),
    ...remoteFields,
    timeout_s: timeoutField(),
  }),
  output: z.looseObject({
    ok: z.boolean(),
    peer: z.string().optional().describe("The peer that was recorded"),
    scheduler: z.looseObject({}).optional().describe("The node's clock and known_peers"),
    peer_id: z.string().optional().describe("Peer id of the node that answered"),
  }),
  annotations: sets("Announce a live peer"),
  grant: "work",
  deadlineMs: deadlineOf,

  async run(input, context) {
    const target = targetOf({ ...input, peer_id: "" });
    return { ok: true, ...(await context.heartbeat(target, input.peer_id, input.clock ?? undefined)) };
  },
});
