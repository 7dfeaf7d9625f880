/** What is opened together with the libp2p node and runs over it: discoveries, and ways to be reached. */
import type { Connection, ConnectionGater, MultiaddrResolver, PrivateKey } from "@libp2p/interface";
import type { Libp2pInit } from "libp2p";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { isCancelled, type Nursery } from "../nursery/index.ts";
import type { Discovery, SelfDescription } from "../peer/discovery.ts";
import type { Finding } from "../peer/finding.ts";
import type { Libp2pNode } from "./libp2p-node.ts";

type TransportFactory = NonNullable<Libp2pInit["transports"]>[number];

/** What libp2p gives to the services it makes. */
export type Libp2pComponents = Parameters<TransportFactory>[0];

/** What a mechanism gets when the node listens. */
export interface MechanismContext {
  readonly libp2p: Libp2pNode;
  /** Ends with the host; what the mechanism does in the background lives in it. */
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Whether a peer that is connected is one of ours: on this machine, allowed by name, or with the shared token. Nobody
   * is before the host answers calls.
   */
  isOurs(peerId: string): boolean;
  /** Proves to the peer at the other end that this node is one of its group, if there is a shared token. Never fails. */
  introduce(connection: Connection): Promise<void>;
}

/** One thing that is added to the libp2p node. */
export interface Mechanism {
  /** Stable name, e.g. `dht`. */
  readonly name: string;
  /** Services for libp2p by name. A mechanism that needs one later keeps it when its factory is called. */
  readonly services?: Readonly<Record<string, (components: Libp2pComponents) => unknown>> | undefined;
  readonly transports?: readonly TransportFactory[] | undefined;
  /** What turns an address into others before it is dialled, by a name. */
  readonly resolvers?: Readonly<Record<string, MultiaddrResolver>> | undefined;
  /** Addresses to listen on besides the configured ones, e.g. `/p2p-circuit`. */
  readonly listen?: readonly string[] | undefined;
  /** Questions of libp2p about what it may let others do. */
  readonly gater?: Partial<ConnectionGater> | undefined;
  /** Where others reach this node through it now, besides where it listens; each ends in this node's peer id. */
  addresses?(): readonly string[];
  /**
   * Called once, when the node listens.
   *
   * @returns the discovery that it is, if it is one
   */
  open?(context: MechanismContext): Promise<Discovery | undefined>;
  /** As a discovery's: for what is none, or not only one. */
  examine?(signal: AbortSignal): Promise<readonly Finding[]>;
  /** Called once, when the host answers calls. */
  serve?(context: MechanismContext): void;
}

function contextFor(mechanism: Mechanism, context: MechanismContext): MechanismContext {
  return { ...context, logger: context.logger.child({ mechanism: mechanism.name }) };
}

/** Opens all of them. @returns the discoveries among them */
export async function openMechanisms(
  mechanisms: readonly Mechanism[],
  context: MechanismContext,
): Promise<readonly Discovery[]> {
  const discoveries: Discovery[] = [];
  for (const mechanism of mechanisms) {
    const discovery = await mechanism.open?.(contextFor(mechanism, context));
    if (discovery) discoveries.push(discovery);
  }
  return discoveries;
}

/** Tells all of them that the host answers calls. */
export function serveMechanisms(mechanisms: readonly Mechanism[], context: MechanismContext): void {
  for (const mechanism of mechanisms) mechanism.serve?.(contextFor(mechanism, context));
}

/** Lets every discovery that can tell others where this node is, until the nursery ends. */
export function advertise(
  discoveries: readonly Discovery[],
  self: SelfDescription,
  { nursery, logger }: Pick<MechanismContext, "nursery" | "logger">,
): void {
  for (const discovery of discoveries) {
    if (!discovery.advertise) continue;
    nursery.startSoon(async () => {
      try {
        await discovery.advertise?.(self);
      } catch (error) {
        if (isCancelled(error)) throw error;
        logger.warn(
          { discovery: discovery.name, err: error },
          "this node is no longer told of by a discovery",
        );
      }
    }, `advertise by ${discovery.name}`);
  }
}

/** The node as its discoveries tell of it. */
export function describeSelf(libp2p: Libp2pNode, privateKey: PrivateKey): SelfDescription {
  return {
    peerId: libp2p.peerId.toString(),
    multiaddrs: () => libp2p.getMultiaddrs().map(String),
    onChange(listener) {
      libp2p.addEventListener("self:peer:update", listener);
      return () => libp2p.removeEventListener("self:peer:update", listener);
    },
    sign: async (bytes) => privateKey.sign(bytes),
  };
}
