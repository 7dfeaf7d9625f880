/** The kinds of setting that name a peer or a place. */
import { type Kind, text } from "../kind.ts";

const MULTIADDR = /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/\S+$/;
const PEER_ID = /^(12D3KooW|16Uiu2|Qm)[1-9A-HJ-NP-Za-km-z]{30,}$|^(k|b)[a-z2-7]{40,}$/;

/** A multiaddr. */
export const multiaddr: Kind<string> = text(
  "multiaddr",
  "a multiaddr such as /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…",
  MULTIADDR,
);

/** A peer id for a list of whom to let in or keep out: in the form that nodes print, since texts are compared. */
export const peerId: Kind<string> = text(
  "peer-id",
  "a peer id such as 12D3KooW…",
  /^(12D3KooW|16Uiu2|Qm)[1-9A-HJ-NP-Za-km-z]{30,}$/,
);

/** A peer id or a multiaddr. */
export const peer: Kind<string> = text(
  "peer-id|multiaddr",
  "a peer id, or a multiaddr",
  new RegExp(`${PEER_ID.source}|${MULTIADDR.source}`),
);

/** Whose queue to work for. */
export const queueName: Kind<string> = text(
  "peer-id|multiaddr|discovered",
  "a peer id, a multiaddr, or the word discovered",
  new RegExp(`^discovered$|${PEER_ID.source}|${MULTIADDR.source}`),
);
