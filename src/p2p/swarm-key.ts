/**
 * The key of a private swarm: nodes that lack it do not get as far as saying who they are.
 *
 * The file has three lines, as all of libp2p writes it: `/key/swarm/psk/1.0.0/`, `/base16/`, and 32 bytes in
 * hexadecimal. It wraps TCP and WebSocket; transports that bring their own encryption (QUIC, WebRTC) skip it in
 * libp2p, which is why this product does not offer them.
 */
import { randomBytes } from "node:crypto";
import { preSharedKey } from "@libp2p/pnet";
import type { ConnectionProtector } from "@libp2p/interface";
import { ConfigError } from "../errors.ts";

const HEAD = "/key/swarm/psk/1.0.0/\n/base16/\n";
const KEY_BYTES = 32;
const SWARM_KEY = /^\/key\/swarm\/psk\/1\.0\.0\/\r?\n\/base16\/\r?\n[0-9a-f]{64}\s*$/i;

/** The text of a new key. */
export function newSwarmKey(): string {
  return `${HEAD}${randomBytes(KEY_BYTES).toString("hex")}\n`;
}

/**
 * The text of a key as it was read.
 *
 * @param where - the file, for the message
 * @throws ConfigError if it is none
 */
export function checkSwarmKey(text: string, where: string): string {
  if (SWARM_KEY.test(text)) return text.trim();
  throw new ConfigError(
    "the swarm key",
    where,
    "must be a key in the format /key/swarm/psk/1.0.0/, /base16/",
    {
      hint: "make one with: mcpp swarm-key <file>",
    },
  );
}

/** What wraps each connection in the key. */
export function swarmKeyProtector(text: string): () => ConnectionProtector {
  return preSharedKey({ psk: Buffer.from(text) });
}
