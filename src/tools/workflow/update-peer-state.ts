import * as z from "zod";
import type { Caller } from "../../authority/caller.ts";
import { jsonObject } from "../../content/json.ts";
import { DeniedError, InvalidInputError } from "../../errors.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { sets } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields } from "./answer.ts";

/** Tells the scheduler about a peer. */
export const updatePeerState: Tool = defineTool({
  name: "p2p_update_peer_state",
  description:
    "Tell this node's scheduler that a peer is alive, and its clock. Nodes tell each other with their heartbeats; this is for peers that do not. A clock counts for its own node only.",
  input: z.strictObject({
    peer_id: z.string().trim().min(1).max(MAX_NAME_CHARS).describe("The peer"),
    clock_data: jsonObject.describe("Its vector clock: node_id (the same as peer_id), vector, merkle_root"),
  }),
  output: z.object({ success: z.boolean(), peer_id: z.string(), ...answerFields }),
  annotations: sets("Tell about a peer"),
  grant: "work",

  async run({ peer_id: peerId, clock_data: clock }, context) {
    requireOwnVoice(context.caller, peerId);
    const why = context.scheduler().heard(peerId, clock);
    if (why !== undefined) {
      throw new InvalidInputError(`clock_data: ${why}`, {
        hint: "give node_id, equal to peer_id, and vector; leave merkle_root out to have it computed",
      });
    }
    return { success: true, peer_id: peerId, ...answeredBy("p2p_update_peer_state", context) };
  },
});

/** A peer speaks for itself only. @throws DeniedError */
function requireOwnVoice(caller: Caller, peerId: string): void {
  if (caller.kind === "peer" && caller.peerId !== peerId) throw new DeniedError(caller.peerId, "admin");
}
