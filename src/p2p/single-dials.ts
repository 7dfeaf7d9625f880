/**
 * Dials one address.
 *
 * libp2p's own queue joins all dials to one peer into one that tries its addresses in turn, 3 s for each that is silent,
 * and says in the end that all failed. So that addresses are tried side by side and each has its own cause of failure,
 * they go to the transports directly; the gater is asked here, as the queue would.
 */
import type { Connection, Startable } from "@libp2p/interface";
import { peerIdFromString } from "@libp2p/peer-id";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Libp2pInit } from "libp2p";
import { peerIdIn } from "./address.ts";
import type { DialStage } from "./dial-cause.ts";

type Components = Parameters<NonNullable<Libp2pInit["transports"]>[number]>[0];

/** How an address is dialled. */
export interface SingleDialOptions {
  readonly signal: AbortSignal;
  /** Hears how far it came. */
  readonly onStage?: ((stage: DialStage) => void) | undefined;
}

/** The service of the libp2p node that dials single addresses. */
export interface SingleDials {
  /** Whether this node is in a private network. */
  readonly isPrivate: boolean;
  /** What this node is bound to. */
  listening(): readonly string[];
  dial(address: Multiaddr, options: SingleDialOptions): Promise<Connection>;
}

/** This node's own rules forbid a dial. */
class DialDeniedError extends Error {
  override readonly name = "DialDeniedError";
}

/** Makes the service. */
export function singleDials(components: Components): SingleDials & Startable {
  const { transportManager, connectionManager, connectionGater } = components;
  let started = false;
  return {
    start() {
      started = true;
    },
    stop() {
      started = false;
    },
    isPrivate: components.connectionProtector !== undefined,
    listening: () => transportManager.getAddrs().map(String),
    async dial(address, { signal, onStage }) {
      if (!started) throw new Error("the node is not started");
      const peerId = peerIdIn(address);
      if (peerId !== undefined && (await connectionGater.denyDialPeer?.(peerIdFromString(peerId))) === true)
        throw new DialDeniedError(`the rules of this node forbid to dial ${peerId}`);
      if ((await connectionGater.denyDialMultiaddr?.(address)) === true)
        throw new DialDeniedError(`the rules of this node forbid to dial ${address.toString()}`);
      const onProgress = ({ type }: { readonly type: string }): void => {
        if (type === "upgrader:encrypt-outbound-connection") onStage?.("handshake");
      };
      // A name that stands for other addresses is libp2p's to expand.
      const connection =
        address.getComponents()[0]?.name === "dnsaddr"
          ? await connectionManager.openConnection(address, { signal })
          : await transportManager.dial(address, { signal, onProgress });
      if (started) return connection;
      // Nobody closes what was opened after the node was stopped.
      connection.abort(new Error("the node was stopped"));
      throw new Error("the node was stopped");
    },
  };
}
