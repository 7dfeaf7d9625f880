/**
 * Finds out what a peer speaks.
 *
 * libp2p settles the protocol. Two dialects share `/mcp+p2p/1.0.0`, so there the first question does: it is harmless,
 * it is never the caller's, and only a node of ours answers it with a result or an error that bears our codes.
 */
import type { Connection } from "@libp2p/interface";
import { ConnectionLostError, McpError, NotSupportedByPeerError, RemoteError } from "../../errors.ts";
import { rethrowIfCancelled } from "../../nursery/index.ts";
import { nodeStatus } from "../../peer/methods.ts";
import type { Link, RequestOptions } from "../link.ts";
import { openStream } from "../open-stream.ts";
import { TASK_QUEUE_PROTOCOL } from "./line.ts";
import { openSession, type OldSession, type OldSessionOptions } from "./session.ts";

/** Whether an error shows that its sender is no node of ours. */
export function isForeign(error: unknown): boolean {
  return error instanceof RemoteError && error.foreignCode !== undefined;
}

/** JSON-RPC errors by which the initialize-first dialect refuses our methods without doing anything. */
const REFUSED_UNREAD: ReadonlySet<number | undefined> = new Set([-32000, -32601]);

/** Whether a call was refused only because the peer speaks another dialect, so that it may be made again in that one. */
export function isOtherDialect(error: unknown): boolean {
  return error instanceof RemoteError && REFUSED_UNREAD.has(error.foreignCode);
}

/** Asks what every node of ours answers. @returns whether the peer is one */
export async function speaksOurMethods(link: Link, request: RequestOptions): Promise<boolean> {
  try {
    await link.request(nodeStatus.name, { detail: false }, request);
    return true;
  } catch (error) {
    rethrowIfCancelled(error);
    if (isForeign(error)) return false;
    // Refused in our own words: a node of ours all the same.
    if (error instanceof RemoteError) return true;
    throw error;
  }
}

/** What an old peer was found to speak. */
export type OldWire =
  | { readonly dialect: "line" }
  | { readonly dialect: "session"; readonly opened: OldSession };

/**
 * Introduces this node to a peer that speaks `/mcp+p2p/1.0.0` but none of our methods; if it will not have that, tries
 * the newline protocol.
 *
 * @throws NotSupportedByPeerError if it speaks neither; UnreachableError
 */
export async function findOldWire(connection: Connection, options: OldSessionOptions): Promise<OldWire> {
  try {
    return { dialect: "session", opened: await openSession(connection, options) };
  } catch (error) {
    rethrowIfCancelled(error);
    if (!(error instanceof McpError)) throw error;
    return await findLines(connection, error);
  }
}

async function findLines(connection: Connection, why: McpError): Promise<OldWire> {
  try {
    const stream = await openStream(connection, [TASK_QUEUE_PROTOCOL]);
    stream.abort(new ConnectionLostError("the stream was not used"));
    return { dialect: "line" };
  } catch (error) {
    rethrowIfCancelled(error);
    const peerId = connection.remotePeer.toString();
    throw new NotSupportedByPeerError(peerId, `it answers 'initialize' with: ${why.message}`, {
      cause: error,
    });
  }
}
