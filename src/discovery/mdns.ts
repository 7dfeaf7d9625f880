/**
 * Nodes of one local network find each other by multicast DNS.
 *
 * A node asks when it starts, when somebody looks for a peer, and now and then; it announces itself when it starts, when
 * its addresses change, when it is asked, and takes it back at its end. It speaks libp2p's own format and py-libp2p's in
 * one set of records, and reads the DNS-SD records of the MCP++ module (`mdns/answer.ts`, `mdns/heard.ts`).
 *
 * Not `@libp2p/mdns`: it forgets nothing, tells nobody that a node ends, cannot be asked, does not know the other
 * formats, sends through one interface only and answers a flood of questions with a flood (docs/decisions/mdns.md).
 */
import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { type Nursery, shield, sleepForever } from "../nursery/index.ts";
import { endpointOf, type Mechanism } from "../p2p/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { mdnsFinding } from "./mdns/examine.ts";
import { LIBP2P_SERVICE, MCP_ACCELERATE_SERVICE } from "./mdns/name.ts";
import { Responder } from "./mdns/responder.ts";
import { MDNS_PORT } from "./mdns/socket.ts";

export { LIBP2P_SERVICE, MCP_ACCELERATE_SERVICE, SERVICE_NAME } from "./mdns/name.ts";

/**
 * When the local network is used: `auto`, while the node can be reached from beyond this machine; `on`, always;
 * `loopback`, always, but only among the nodes of this machine.
 */
export type MdnsMode = "auto" | "on" | "loopback";

/** How the local network is used. */
export interface MdnsOptions {
  readonly mode: MdnsMode;
  /** The service that is announced and looked for. Default: {@link LIBP2P_SERVICE}. */
  readonly service?: string | undefined;
  /** Services that are looked for only. Default: {@link MCP_ACCELERATE_SERVICE}. */
  readonly browse?: readonly string[] | undefined;
  /** How often to ask, in milliseconds. Default: ten seconds. */
  readonly intervalMs?: number | undefined;
  /** Default: 5353; another one only reaches nodes with the same. */
  readonly port?: number | undefined;
}

/** The node that uses the local network. */
export interface MdnsNode {
  readonly peerId: string;
  /** Where it is reached now. */
  multiaddrs(): readonly string[];
  /** @returns ends that */
  onChange(listener: () => void): () => void;
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
}

const DEFAULT_INTERVAL_MS = 10_000;
/** How long a question is worth waiting for: peers answer within 120 ms of it. */
const FIND_MS = 1000;
/** How long saying goodbye and closing the sockets may take. */
const CLOSE_MS = 2000;
/** Characters of an instance's name: libp2p takes 32 to 63, py-libp2p has 63. */
const INSTANCE_CHARS = 63;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Multicast DNS, as something that is opened with the libp2p node. */
export function mdnsMechanism(options: MdnsOptions): Mechanism {
  return {
    name: "mdns",
    open({ libp2p, nursery, clock, logger }) {
      const node: MdnsNode = {
        peerId: libp2p.peerId.toString(),
        multiaddrs: () => libp2p.getMultiaddrs().map(String),
        onChange(listener) {
          libp2p.addEventListener("self:peer:update", listener);
          return () => libp2p.removeEventListener("self:peer:update", listener);
        },
        nursery,
        clock,
        logger,
      };
      return Promise.resolve(openMdns(node, options));
    },
  };
}

/** Begins to listen, and to ask; in the nursery of `node`, until that ends. */
export function openMdns(node: MdnsNode, options: MdnsOptions): Discovery {
  const { clock } = node;
  const responder = new Responder({
    ...node,
    service: options.service ?? LIBP2P_SERVICE,
    browse: options.browse ?? [MCP_ACCELERATE_SERVICE],
    instance: randomLabel(),
    method: "mdns",
    intervalMs: options.intervalMs ?? DEFAULT_INTERVAL_MS,
    port: options.port ?? MDNS_PORT,
    loopback: options.mode === "loopback",
    isWanted: () => options.mode !== "auto" || node.multiaddrs().some(isBeyondThisMachine),
  });
  const off = node.onChange(() => responder.addressesChanged());
  node.nursery.startSoon(async () => {
    try {
      await responder.run();
    } finally {
      off();
      await shield(CLOSE_MS, () => responder.close());
    }
  }, "mdns");
  return {
    name: "mdns",
    async find(wanted, signal) {
      const hints = responder.hints(wanted);
      if (hints.length > 0 || !responder.isOpen) return hints;
      responder.ask();
      await responder.heardWithin(FIND_MS, () => responder.hints(wanted).length > 0, { signal, clock });
      return responder.hints(wanted);
    },
    examine: async () => [mdnsFinding(responder.state)],
    async advertise() {
      responder.announce(true);
      try {
        await sleepForever();
      } finally {
        responder.announce(false);
      }
    },
  };
}

function isBeyondThisMachine(address: string): boolean {
  const { scope } = endpointOf(address);
  return ["private", "special", "public", "local-name", "name"].includes(scope);
}

function randomLabel(): string {
  return Array.from(randomBytes(INSTANCE_CHARS), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
