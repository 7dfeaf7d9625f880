/** Opens a stream of our own for one MCP session. */
import type { Connection, Stream } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import type { JsonObject } from "../content/json.ts";
import { type MessageChannel, WireChannel } from "./channel.ts";
import type { P2pLimits } from "./limits.ts";
import { openStream } from "./open-stream.ts";
import { Wire, type WireUser } from "./wire.ts";

/** A session stream: everything on it is MCP. */
export class SessionStream implements WireUser {
  readonly wire: Wire;
  readonly channel: WireChannel;
  readonly #onGone: (session: SessionStream) => void;

  constructor(
    stream: Stream,
    options: { readonly limits: P2pLimits; readonly clock: Clock },
    onGone: (session: SessionStream) => void,
  ) {
    this.#onGone = onGone;
    this.wire = new Wire(stream, this, options);
    this.channel = new WireChannel(this.wire);
  }

  onMessage(message: JsonObject): void {
    this.channel.deliver(message);
  }

  onHalfClose(): void {
    // A server that says nothing more is no server; whoever waits for it must learn that.
    this.channel.end(undefined);
    this.wire.closeSoon();
  }

  onRoom(): void {
    this.channel.room();
  }

  onEnd(error: Error | undefined): void {
    this.channel.end(error);
    this.#onGone(this);
  }
}

/**
 * Opens a session stream over a connection. Runs in the scope of its caller.
 *
 * @param sessions - where it is listed as long as it is open
 * @throws UnreachableError if the peer does not speak the protocol
 */
export async function openChannelOver(
  connection: Connection,
  options: { readonly limits: P2pLimits; readonly clock: Clock },
  sessions: Set<SessionStream>,
): Promise<MessageChannel> {
  const stream = await openStream(connection);
  const session = new SessionStream(stream, options, (gone) => void sessions.delete(gone));
  sessions.add(session);
  return session.channel;
}
