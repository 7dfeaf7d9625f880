/** What the commands about the shared cache have in common. */
import { text } from "../config/kind.ts";
import type { Argument, Option } from "./command.ts";

/** Where the cache is, if it is not the node's own. */
export const CACHE_PEER: Option<string> = {
  flag: "peer",
  kind: text("peer-id|multiaddr", "a peer id or a multiaddr", /^\S+$/),
  summary: "Another node whose cache is meant; the node that the command talks to passes it on.",
};

/** The key. */
export const KEY: Argument = { name: "<key>", summary: "Any text of at most 1,024 characters." };
