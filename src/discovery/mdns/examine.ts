/** How this node uses the local network, for people. */
import { type Finding, fine, note, problem } from "../../peer/finding.ts";
import type { MdnsSocket } from "./socket.ts";

/** What is known of it. */
export interface MdnsState {
  readonly service: string;
  readonly browse: readonly string[];
  readonly port: number;
  /** Whether the network is to be used now. */
  readonly wanted: boolean;
  /** Peers heard of. */
  readonly heard: number;
  /** Why the socket could not be opened the last time; undefined if it could, or was not tried. */
  readonly failure: Error | undefined;
  /** Absent while no socket is open. */
  readonly interfaces: ReturnType<MdnsSocket["interfaces"]> | undefined;
}

/** The finding about it. */
export function mdnsFinding({
  service,
  browse,
  port,
  wanted,
  heard,
  failure,
  interfaces,
}: MdnsState): Finding {
  if (!wanted)
    return note(
      "mdns-idle",
      "mdns: not in use, since nobody beyond this machine could reach this node anyway",
      "mcpp serve --listen /ip4/0.0.0.0/tcp/<port>, or --mdns loopback for nodes of this machine",
    );
  if (interfaces === undefined) {
    if (failure === undefined) return note("mdns-opening", `mdns: UDP port ${port} is being opened`);
    return problem(
      "mdns-socket",
      `mdns: UDP port ${port} cannot be used: ${failure.message}`,
      `ss -lunp 'sport = :${port}'`,
    );
  }
  const skipped = [...interfaces.skipped].map(([name, why]) => `${name} (${why})`).join(", ");
  const not = skipped === "" ? "" : `; not on ${skipped}`;
  if (interfaces.used.length === 0)
    return problem("mdns-no-interface", `mdns: no interface can be used${not}`, "ip -brief address");
  const services = [service, ...browse].join(" and ");
  const on = interfaces.used.join(", ");
  return fine("mdns-open", `mdns: asks for ${services} on ${on}${not}; ${heard} peers were heard`);
}
