/** The key of a private swarm, for the command that makes one. */
export { createSwarmKey } from "../p2p/swarm-key.ts";
