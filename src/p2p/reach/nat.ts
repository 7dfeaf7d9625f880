/** What a node knows of the NAT between it and the internet, in words. */
import type { Multiaddr } from "@multiformats/multiaddr";
import { type Finding, fine, note } from "../../peer/finding.ts";
import { endpointOf, isPublicAddress } from "../address-scope.ts";
import { isRelayed } from "../address.ts";

/** An address of this node as libp2p keeps it. */
export interface OwnAddress {
  readonly multiaddr: Multiaddr;
  /** Whether others are told of it: it was confirmed, or needs no confirmation. */
  readonly verified: boolean;
  /** `transport`: of an interface; `observed`: peers see this node there; `ip-mapping`: the router lets others in there. */
  readonly type: string;
}

const RELAY = "mcpp serve --relay-via <address of a node with --relay>";

/**
 * How this node stands to the internet.
 *
 * @param autonat - whether peers are asked to dial this node back
 */
export function natFinding(addresses: readonly OwnAddress[], autonat: boolean): Finding {
  const direct = addresses.filter(({ multiaddr }) => !isRelayed(multiaddr));
  const open = direct.filter(({ multiaddr }) => isPublicAddress(multiaddr));
  const own = open.filter(({ type }) => type === "transport");
  const [mapped] = open.filter(({ type, verified }) => type === "ip-mapping" && verified);
  const seen = open.filter(({ type }) => type === "observed");
  const [confirmed] = seen.filter(({ verified }) => verified);
  if (own.some(({ verified }) => verified))
    return fine("nat-none", `no NAT: this machine has the public address ${hosts(own)}${said(autonat)}`);
  if (own.length > 0)
    return note(
      "nat-unconfirmed",
      `this machine has the public address ${hosts(own)}, but no peer has dialled it back yet`,
      "let the port through the firewall; --no-autonat tells the address without confirmation",
    );
  if (mapped)
    return fine("nat-mapped", `behind a NAT whose router lets others in at ${String(mapped.multiaddr)}`);
  if (confirmed)
    return fine("nat-open", `behind a NAT, and peers have dialled back to ${String(confirmed.multiaddr)}`);
  if (seen.length > 0)
    return note(
      "nat-closed",
      `behind a NAT: peers see this node at ${hosts(seen)}, where nobody has dialled it back`,
      `${RELAY}, or let the port through the router (--upnp)`,
    );
  if (direct.some(({ multiaddr }) => isNear(multiaddr)))
    return note(
      "nat-unknown",
      "all own addresses are private: only nodes of the same networks reach this one directly, and no peer has said yet from where it sees this node",
      RELAY,
    );
  return note("nat-none-to-tell", "this node has no address beyond this machine");
}

function said(autonat: boolean): string {
  return autonat ? ", and peers have dialled it back" : "";
}

function isNear(address: Multiaddr): boolean {
  return ["private", "link-local", "special", "local-name"].includes(endpointOf(address).scope);
}

function hosts(addresses: readonly OwnAddress[]): string {
  return [...new Set(addresses.map(({ multiaddr }) => endpointOf(multiaddr).host))].join(", ");
}
