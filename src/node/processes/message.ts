/** What the parent and the processes of a node say to each other, over Node's IPC channel. */
import { Socket } from "node:net";
import * as z from "zod";
import type { SessionRecord } from "../../transport/index.ts";
import type { ProcessShare } from "./share.ts";

/** What a process needs to begin, besides its configuration. */
export interface Assignment extends Omit<ProcessShare, "deliver"> {
  /** The data folder that the parent has locked. */
  readonly dataDir: string;
}

const sessionsSchema: z.ZodType<readonly SessionRecord[]> = z.array(
  z.object({ id: z.string(), initialize: z.unknown() }),
);

const assignmentSchema: z.ZodType<Assignment> = z.object({
  slot: z.int().min(0),
  count: z.int().min(1),
  sockets: z.string(),
  origin: z.string(),
  dataDir: z.string(),
  sessions: sessionsSchema,
});

/** What the parent says. A connection comes with `connection`. */
export type Order =
  | { readonly kind: "begin"; readonly share: Assignment }
  | { readonly kind: "connection" }
  /** End after the connections have ended: another process takes the place. */
  | { readonly kind: "replace" }
  /** End. */
  | { readonly kind: "end" };

const orderSchema: z.ZodType<Order> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("begin"), share: assignmentSchema }),
  z.object({ kind: z.literal("connection") }),
  z.object({ kind: z.literal("replace") }),
  z.object({ kind: z.literal("end") }),
]);

/** What a process says of itself when it is ready. */
export interface ReadyFacts {
  readonly peerId: string;
  readonly url: string;
  readonly multiaddrs: readonly string[];
}

/** What a process says. */
export type Report =
  | { readonly kind: "ready"; readonly facts: ReadyFacts }
  /** It ends, and another is to go on with these. */
  | { readonly kind: "sessions"; readonly sessions: readonly SessionRecord[] };

const reportSchema: z.ZodType<Report> = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("ready"),
    facts: z.object({ peerId: z.string(), url: z.string(), multiaddrs: z.array(z.string()) }),
  }),
  z.object({ kind: z.literal("sessions"), sessions: sessionsSchema }),
]);

/** The order in a message. @throws ZodError for anything else */
export function orderIn(message: unknown): Order {
  return orderSchema.parse(message);
}

/** What a process said. @throws ZodError for anything else */
export function reportIn(message: unknown): Report {
  return reportSchema.parse(message);
}

/** The connection that came with a message; undefined if it broke on the way. */
export function connectionOf(handle: unknown): Socket | undefined {
  return handle instanceof Socket ? handle : undefined;
}
