/** What mechanisms may ask about a peer that is connected. */
import type { Connection } from "@libp2p/interface";
import type { Logger } from "../logger.ts";
import { rethrowIfCancelled } from "../nursery/index.ts";
import type { MechanismContext } from "./mechanism.ts";
import type { P2pRpc } from "./rpc.ts";

/** The questions. */
export type Acquaintance = Pick<MechanismContext, "isOurs" | "introduce">;

/** Answers them by a host that is made later than the mechanisms, whose discoveries it needs. */
export class Acquaintances {
  /** Until there is one, nobody is ours. */
  host: Acquaintance | undefined;

  readonly isOurs = (peerId: string): boolean => this.host?.isOurs(peerId) ?? false;

  readonly introduce = async (connection: Connection): Promise<void> => this.host?.introduce(connection);
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
