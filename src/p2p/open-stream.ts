/** Opens a stream on a connection, in the scope of the caller. */
import type { Connection, Stream } from "@libp2p/interface";
import { UnreachableError } from "../errors.ts";
import { abortable, isCancelled } from "../nursery/index.ts";
import { MCP_P2P_PROTOCOL } from "./message.ts";

/**
 * Opens a stream of the first protocol that the peer speaks.
 *
 * @param protocols - in order of preference. Default: only that of this product
 * @throws UnreachableError if the peer speaks none of them, or the connection is gone
 */
export async function openStream(
  connection: Connection,
  protocols: readonly string[] = [MCP_P2P_PROTOCOL],
): Promise<Stream> {
  try {
    return await abortable((signal) =>
      connection.newStream([...protocols], {
        signal,
        maxOutboundStreams: Infinity,
        // Through a relay, too: libp2p refuses there whatever does not say so.
        runOnLimitedConnection: true,
      }),
    );
  } catch (cause) {
    if (isCancelled(cause)) throw cause;
    throw new UnreachableError(
      `peer ${connection.remotePeer.toString()} opens no stream of ${protocols.join(" or ")}`,
      { cause },
    );
  }
}
