/** Who may connect at all: lists of peers and addresses that are let in or refused. Refusing wins. */
import { BlockList, isIP } from "node:net";
import { peerIdFromString } from "@libp2p/peer-id";
import { ConfigError } from "../errors.ts";

/** Lists of peer ids, and of addresses: an IP, or a prefix such as `192.0.2.0/24`. */
export interface AccessLists {
  readonly denyPeers?: readonly string[] | undefined;
  readonly denyAddresses?: readonly string[] | undefined;
  /** Absent or empty: all that are not denied. */
  readonly onlyPeers?: readonly string[] | undefined;
  /** Absent or empty: all that are not denied. */
  readonly onlyAddresses?: readonly string[] | undefined;
}

/** Why something is refused. */
export type Refusal = "on the deny list" | "not on the allow list";

/** The lists, ready to be asked. */
export class Access {
  readonly #denyPeers: ReadonlySet<string>;
  readonly #onlyPeers: ReadonlySet<string>;
  readonly #denyAddresses: BlockList;
  readonly #onlyAddresses: BlockList | undefined;

  /** @throws ConfigError if a peer id or an address is none */
  constructor({ denyPeers = [], denyAddresses = [], onlyPeers = [], onlyAddresses = [] }: AccessLists) {
    this.#denyPeers = new Set(denyPeers.map(plainId));
    this.#onlyPeers = new Set(onlyPeers.map(plainId));
    this.#denyAddresses = blockList(denyAddresses);
    this.#onlyAddresses = onlyAddresses.length === 0 ? undefined : blockList(onlyAddresses);
  }

  /** Why the peer is refused; undefined if it is not. */
  refusesPeer(peerId: string): Refusal | undefined {
    if (this.#denyPeers.has(peerId)) return "on the deny list";
    if (this.#onlyPeers.size > 0 && !this.#onlyPeers.has(peerId)) return "not on the allow list";
    return undefined;
  }

  /** Why the address is refused; undefined if it is not. */
  refusesAddress(ip: string): Refusal | undefined {
    const family = isIP(ip) === 6 ? "ipv6" : "ipv4";
    if (this.#denyAddresses.check(ip, family)) return "on the deny list";
    if (this.#onlyAddresses?.check(ip, family) === false) return "not on the allow list";
    return undefined;
  }
}

/** The id as connections have it; it may have been written as a CID. */
function plainId(text: string): string {
  try {
    return peerIdFromString(text).toString();
  } catch (cause) {
    throw new ConfigError("a peer list", text, "must be a peer id such as 12D3KooW…", { cause });
  }
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) addTo(list, entry);
  return list;
}

function addTo(list: BlockList, entry: string): void {
  const [ip = "", bits, ...rest] = entry.split("/");
  const version = isIP(ip);
  const most = version === 6 ? 128 : 32;
  const prefix = bits === undefined ? most : Number(bits);
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && prefix <= most);
  if (version === 0 || !isPrefix || rest.length > 0)
    throw new ConfigError(
      "an address list",
      entry,
      "must be an IP address, or a prefix such as 192.0.2.0/24",
    );
  list.addSubnet(ip, prefix, version === 6 ? "ipv6" : "ipv4");
}
