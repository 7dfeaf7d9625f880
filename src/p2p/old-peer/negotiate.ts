/** Finds out which old wire a peer speaks that is no node of ours. */
import type { Connection, Stream } from "@libp2p/interface";
import { McpError, NotSupportedByPeerError } from "../../errors.ts";
import { rethrowIfCancelled } from "../../nursery/index.ts";
import { openStream } from "../open-stream.ts";
import { TASK_QUEUE_PROTOCOL } from "../message.ts";
import { openSession, type OldSession, type OldSessionOptions } from "./session.ts";

/** What an old peer was found to speak. */
export type OldWire =
  | { readonly dialect: "line"; readonly opened: Stream }
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
    return { dialect: "line", opened: await openStream(connection, [TASK_QUEUE_PROTOCOL]) };
  } catch (error) {
    rethrowIfCancelled(error);
    const peerId = connection.remotePeer.toString();
    throw new NotSupportedByPeerError(peerId, `it answers 'initialize' with: ${why.message}`, {
      cause: error,
    });
  }
}
