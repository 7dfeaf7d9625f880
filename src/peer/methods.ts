/** What nodes ask each other about themselves: status, heartbeat, and a call of one of their tools. */
import * as z from "zod";
import { type JsonObject, jsonObject } from "../content/json.ts";
import type { Method } from "./rpc.ts";

/** Asks a node how it is and what it can do; everybody may, but details need `observe`. */
export const nodeStatus: Method<{ readonly detail: boolean }, JsonObject> = {
  name: "node.status",
  grant: ({ detail }) => (detail ? "observe" : "status"),
  input: z.object({ detail: z.boolean().default(false) }),
  output: jsonObject,
  idempotent: true,
};

/** Longest identity that a heartbeat may announce; peer ids have 52 characters. */
const MAX_IDENTITY_CHARS = 256;

/** Input of {@link nodeHeartbeat}. */
export interface HeartbeatInput {
  /** The identity that is alive, by its own account. */
  readonly peerId: string;
  /** Its vector clock, in the shape of the old wire. */
  readonly clock?: JsonObject | undefined;
  /** What it can do; see capabilities.ts. */
  readonly capabilities?: JsonObject | undefined;
  /** What its workflow scheduler says about itself and others. */
  readonly gossip?: JsonObject | undefined;
}

/** Tells a node that an identity is alive and what it can do, and learns the same in return. */
export const nodeHeartbeat: Method<HeartbeatInput, JsonObject> = {
  name: "node.heartbeat",
  grant: "work",
  input: z.object({
    peerId: z.string().trim().min(1).max(MAX_IDENTITY_CHARS),
    clock: jsonObject.optional(),
    capabilities: jsonObject.optional(),
    gossip: jsonObject.optional(),
  }),
  output: jsonObject,
  idempotent: true,
};

/** Input of {@link toolCall}. */
export interface ToolCallInput {
  readonly name: string;
  readonly args: JsonObject;
}

/** Calls a tool of a node: its own, or one of a server that is mounted there. May have any effect, so it is sent once. */
export const toolCall: Method<ToolCallInput, JsonObject> = {
  name: "tool.call",
  grant: ({ name }) => `tools:${name}`,
  input: z.object({ name: z.string().min(1).max(MAX_IDENTITY_CHARS), args: jsonObject }),
  output: jsonObject,
  idempotent: false,
};
