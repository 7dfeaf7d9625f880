/**
 * The public libp2p network's own entry points, for a node that has been told to use them and knows nobody else.
 *
 * They are no nodes of ours and answer none of our calls; they lead to the public DHT.
 */
import type { Discovery } from "../peer/discovery.ts";
import { bootstrapDiscovery, type BootstrapOptions } from "./bootstrap.ts";

/** The addresses that libp2p publishes for this purpose (docs.libp2p.io; the seed's list, contract.md 3.5). */
export const PUBLIC_BOOTSTRAP: readonly string[] = [
  "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
  "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
  "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
  "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
];

/**
 * A discovery that finds the public entry points as long as `others` find nobody.
 *
 * @param others - what counts as knowing somebody: files and configured addresses
 */
export function publicBootstrapDiscovery(
  others: readonly Discovery[],
  options: BootstrapOptions = {},
): Discovery {
  const list = bootstrapDiscovery(PUBLIC_BOOTSTRAP, options);
  const name = "public-bootstrap";
  return {
    name,
    trust: "public",
    async find(wanted, signal) {
      for (const other of others) {
        if ((await other.find(undefined, signal)).length > 0) return [];
      }
      const hints = await list.find(wanted, signal);
      return hints.map((hint) => ({ ...hint, method: name }));
    },
  };
}
