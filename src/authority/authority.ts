/**
 * May this caller do this? One answer for every wire; when in doubt, no.
 *
 * A node serves peers of its own machine; peers beyond it only if they are on the allow-list or have proven
 * the shared token. Everybody else may ask for status and nothing more.
 */
import { DeniedError } from "../errors.ts";
import { type Caller, callerName } from "./caller.ts";
import { covers, type Grant, OWNER_GRANTS, TRUSTED_PEER_GRANTS, UNKNOWN_CALLER_GRANTS } from "./grant.ts";

/** What the answer depends on besides the caller. */
export interface AuthorityOptions {
  /** Peer ids that are trusted wherever they call from. Default: none. */
  readonly allowPeers?: readonly string[] | undefined;
}

/** The one that is asked before anything is done for somebody. */
export interface Authority {
  /** What `caller` may do. */
  grantsOf(caller: Caller): readonly Grant[];
  /** Returns if `caller` holds `grant`. @throws {@link DeniedError} if not */
  require(caller: Caller, grant: Grant): void;
}

/** An authority that decides by the configuration of this node. */
export function createAuthority(options: AuthorityOptions = {}): Authority {
  const allowed = new Set(options.allowPeers);
  const grantsOf = (caller: Caller): readonly Grant[] => {
    if (caller.kind === "owner") return OWNER_GRANTS;
    const trusted = caller.sameMachine || caller.provedToken || allowed.has(caller.peerId);
    return trusted ? TRUSTED_PEER_GRANTS : UNKNOWN_CALLER_GRANTS;
  };
  return {
    grantsOf,
    require(caller, grant) {
      if (!covers(grantsOf(caller), grant)) throw new DeniedError(callerName(caller), grant);
    },
  };
}
