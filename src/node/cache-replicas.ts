/** Where a node's cache has copies. */
import type { PeerTarget } from "../peer/rpc.ts";

/** Which peers have a copy of this node's cache. */
export interface CacheReplicas {
  /** Those that always have one. Default: none. */
  readonly peers?: readonly PeerTarget[] | undefined;
  /** Whether peers have one while they are connected, too. Default: no. */
  readonly connected?: boolean | undefined;
}
