/**
 * What nodes tell each other with each heartbeat: whom they know, and how many events they have counted.
 *
 * It is believed only if it comes from a trusted peer, and bounded by the schemas of what it carries.
 */
import * as z from "zod";
import { jsonObject, type JsonObject } from "../../content/json.ts";
import type { Logger } from "../../logger.ts";
import { membersSchema } from "./membership.ts";
import type { Scheduler } from "./scheduler.ts";

const gossipSchema = z.object({ members: membersSchema, clock: jsonObject.optional() });

/** What this node says. Its clock tells of its own entry alone, which is all that others believe. */
export function gossipOf({ membership, vector }: Pick<Scheduler, "membership" | "vector">): JsonObject {
  const { nodeId } = vector;
  const own = { node_id: nodeId, vector: { [nodeId]: Number(vector.count(nodeId)) } };
  return { members: membership.view(), clock: own };
}

/** Takes over what a trusted peer said. What does not hold together is left alone, and logged. */
export function takeGossip(
  scheduler: Pick<Scheduler, "membership" | "heard">,
  from: string,
  said: unknown,
  logger: Logger,
): void {
  const parsed = gossipSchema.safeParse(said);
  if (!parsed.success) {
    if (said !== undefined) logger.debug({ peer: from }, "a peer's view of the members is not valid");
    scheduler.membership.heard(from);
    return;
  }
  const { members, clock } = parsed.data;
  scheduler.membership.merge(members, from);
  const why = clock && scheduler.heard(from, clock);
  if (why !== undefined) logger.debug({ peer: from, why }, "a peer's clock was not merged");
}
