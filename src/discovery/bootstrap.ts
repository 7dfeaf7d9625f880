/** Peers whose addresses the configuration names. */
import { ConfigError } from "../errors.ts";
import { parseMultiaddr, peerIdIn } from "../p2p/index.ts";
import type { Discovery, PeerHint } from "../peer/discovery.ts";
import { type Finding, fine, problem } from "../peer/finding.ts";
import type { Dnsaddr } from "./dnsaddr.ts";

/** How the addresses are read. */
export interface BootstrapOptions {
  /** Looks up what `/dnsaddr` addresses stand for. Absent: they are given on as they are. */
  readonly dnsaddr?: Dnsaddr | undefined;
}

/**
 * A discovery that always finds the listed addresses.
 *
 * @param addresses - multiaddrs; one without `/p2p/<id>` is only used when any peer will do
 * @throws ConfigError if one is no multiaddr
 */
export function bootstrapDiscovery(
  addresses: readonly string[],
  { dnsaddr }: BootstrapOptions = {},
): Discovery {
  const listed = addresses.map((text) => ({ text, peerId: idOf(text) }));
  return {
    name: "bootstrap",
    trust: "owner",
    async examine(signal) {
      const names = listed.map(({ text }) => text).filter((text) => text.startsWith("/dnsaddr/"));
      return Promise.all(names.map((text) => examineName(text, dnsaddr, signal)));
    },
    async find(wanted, signal) {
      const hints: PeerHint[] = [];
      for (const { text, peerId } of listed) {
        if (wanted !== undefined && peerId !== undefined && peerId !== wanted) continue;
        const expanded = await (dnsaddr?.expand([text], signal) ?? [text]);
        hints.push(...hintsOf(expanded));
      }
      return wanted === undefined ? hints : hints.filter(({ peerId }) => peerId === wanted);
    },
  };
}

async function examineName(
  text: string,
  dnsaddr: Dnsaddr | undefined,
  signal: AbortSignal,
): Promise<Finding> {
  if (!dnsaddr)
    return problem(
      "dnsaddr-off",
      `bootstrap: ${text} cannot be used, since --no-dnsaddr forbids to look it up`,
    );
  const expanded = await dnsaddr.expand([text], signal);
  const found = expanded.filter((address) => !address.startsWith("/dnsaddr/"));
  if (found.length > 0) return fine("dnsaddr", `bootstrap: ${text} stands for ${found.length} addresses`);
  const name = text.split("/")[2] ?? "";
  return problem(
    "dnsaddr-unknown",
    `bootstrap: no name server says what ${text} stands for`,
    `dig +short TXT _dnsaddr.${name}`,
  );
}

/** One hint for the addresses of each peer; an address that names none is a hint of its own. */
function hintsOf(addresses: readonly string[]): readonly PeerHint[] {
  const byPeer = new Map<string, string[]>();
  for (const text of addresses) {
    const key = idOf(text) ?? text;
    byPeer.set(key, [...(byPeer.get(key) ?? []), text]);
  }
  return [...byPeer.values()].map((multiaddrs) => ({
    peerId: idOf(multiaddrs[0] ?? ""),
    multiaddrs,
    method: "bootstrap",
  }));
}

function idOf(text: string): string | undefined {
  try {
    return peerIdIn(parseMultiaddr(text));
  } catch (cause) {
    throw new ConfigError("bootstrap", text, "must be a multiaddr", { cause });
  }
}
