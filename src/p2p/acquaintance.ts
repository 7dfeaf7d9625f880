/** What mechanisms may ask about the peer at the other end of a connection. */
import type { Connection } from "@libp2p/interface";
import type { Logger } from "../logger.ts";
import { rethrowIfCancelled } from "../nursery/index.ts";
import type { MechanismContext } from "./mechanism.ts";
import type { P2pRpc } from "./rpc.ts";

/** The questions. */
export type Acquaintance = Pick<MechanismContext, "isStranger" | "introduceOver">;

/** Answers them by a host that is made later than the mechanisms, whose discoveries it needs. */
export class Acquaintances {
  /** Until there is one, everybody is a stranger. */
  host: Acquaintance | undefined;

  readonly isStranger = (connection: Connection): boolean => this.host?.isStranger(connection) ?? true;

  readonly introduceOver = async (connection: Connection): Promise<void> =>
    this.host?.introduceOver(connection);
}

/** Proves the shared token over `connection`, if there is one. A peer that wants no proof decides by itself. */
export async function introduceOver(
  connection: Connection,
  rpc: P2pRpc,
  { sharedToken, logger }: { readonly sharedToken?: string | undefined; readonly logger: Logger },
): Promise<void> {
  if (sharedToken === undefined) return;
  try {
    await rpc.linkOver(connection);
  } catch (error) {
    rethrowIfCancelled(error);
    const peer = connection.remotePeer.toString();
    logger.debug({ peer, err: error }, "a peer did not take our introduction");
  }
}
