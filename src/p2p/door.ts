/**
 * Refuses connections before anything is made for them.
 *
 * The gate is asked when libp2p has made its objects for a socket, which costs a tenth of a millisecond and some
 * kilobytes each: a crowd that comes back as soon as it is refused would slow everybody and fill the memory. Node asks a
 * server's block list before it makes a socket; this one answers by the rules of the gate. The gate asks them again.
 */
import { BlockList, type IPVersion, type SocketAddress } from "node:net";

/** A block list for `net.createServer` that asks `refuses` about each address. */
export class Door extends BlockList {
  readonly #refuses: (ip: string) => boolean;

  /** @param refuses - whether a new connection from this IP address is refused */
  constructor(refuses: (ip: string) => boolean) {
    super();
    this.#refuses = refuses;
  }

  override check(address: SocketAddress | string, _family?: IPVersion): boolean {
    return this.#refuses(typeof address === "string" ? address : address.address);
  }
}
