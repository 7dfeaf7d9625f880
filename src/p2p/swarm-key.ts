/**
 * The key of a private swarm: nodes that lack it do not get as far as saying who they are.
 *
 * The file has three lines, as all of libp2p writes it: `/key/swarm/psk/1.0.0/`, `/base16/`, and 32 bytes in
 * hexadecimal. It wraps TCP and WebSocket; transports that bring their own encryption (QUIC, WebRTC) skip it in
 * libp2p, which is why this product does not offer them.
 */
import { randomBytes } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";
import { preSharedKey } from "@libp2p/pnet";
import type { ConnectionProtector } from "@libp2p/interface";
import { ConfigError } from "../errors.ts";

const HEAD = "/key/swarm/psk/1.0.0/\n/base16/\n";
const KEY_BYTES = 32;
const SWARM_KEY = /^\/key\/swarm\/psk\/1\.0\.0\/\r?\n\/base16\/\r?\n[0-9a-f]{64}\s*$/i;

/** A key has 96 bytes; anything much longer is another file. */
const MAX_FILE_BYTES = 4096;
/** The permission bits of everybody but the owner. */
const OTHERS = 0o077;
/** Read and write for the owner, nothing for anybody else. */
const OWNER_ONLY = 0o600;

/** The text of a new key. */
export function newSwarmKey(): string {
  return `${HEAD}${randomBytes(KEY_BYTES).toString("hex")}\n`;
}

/** The text of the key in a file. @throws ConfigError if it holds none, or others can read it */
export async function readSwarmKey(file: string): Promise<string> {
  const { size, mode } = await stat(file).catch((cause: unknown) => {
    throw new ConfigError("the swarm key file", file, "must be a file that can be read", {
      cause,
      hint: `make one with: mcpp swarm-key '${file}'`,
    });
  });
  // Windows keeps no such bits.
  if (process.platform !== "win32" && (mode & OTHERS) !== 0) {
    throw new ConfigError("the swarm key file", file, "must not be readable by others", {
      hint: `chmod 600 '${file}', and make a new key if others may have read it`,
    });
  }
  const text = size > MAX_FILE_BYTES ? "" : await readFile(file, "utf8");
  if (SWARM_KEY.test(text)) return text.trim();
  throw new ConfigError(
    "the swarm key file",
    file,
    "must hold three lines: /key/swarm/psk/1.0.0/, /base16/, and 64 hexadecimal digits",
  );
}

/** Writes a new key to a new file that only its owner can read. @throws ConfigError if the file is there already */
export async function createSwarmKey(file: string): Promise<void> {
  const handle = await open(file, "wx", OWNER_ONLY).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError("the swarm key file", file, `must be a new file that can be written: ${why}`, {
      cause,
    });
  });
  try {
    await handle.writeFile(newSwarmKey());
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What wraps each connection in the key. */
export function swarmKeyProtector(text: string): () => ConnectionProtector {
  return preSharedKey({ psk: Buffer.from(text) });
}
