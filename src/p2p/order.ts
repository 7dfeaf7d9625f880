/** In which order the mechanisms are asked for a peer. */

/** Stands for what the node remembers of a peer, among the names of discoveries. */
export const KNOWN = "known";

/** What costs least and is right most often comes first; one that is not named here is asked after these. */
export const DEFAULT_SEARCH_ORDER: readonly string[] = [
  KNOWN,
  "announce-file",
  "peer-folder",
  "bootstrap",
  "rendezvous",
  "dht",
  "mdns",
  "github-issues",
  "public-bootstrap",
];

/**
 * `sources` in the order to ask them.
 *
 * @param wanted - names in the order that the configuration wants; those that it does not name follow in the default order
 */
export function inOrder<T extends { readonly name: string }>(
  sources: readonly T[],
  wanted: readonly string[],
): readonly T[] {
  const order = [...new Set([...wanted, ...DEFAULT_SEARCH_ORDER])];
  const place = ({ name }: T): number => (order.includes(name) ? order.indexOf(name) : order.length);
  return sources.toSorted((a, b) => place(a) - place(b));
}
