/** Who this node is: an Ed25519 key in a file that only its owner can read. */
import { randomUUID } from "node:crypto";
import { link, open, readFile, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { ConfigError } from "../errors.ts";

/** A serialised Ed25519 key has 68 bytes; anything much longer is another file. */
const MAX_KEY_FILE_BYTES = 4096;
/** Read and write for the owner, nothing for anybody else. */
const OWNER_ONLY = 0o600;
/** The permission bits of everybody but the owner. */
const OTHERS = 0o077;

/**
 * The key in `file`, which is made if it is not there.
 *
 * @param file - its folder must exist
 * @throws ConfigError if others can read the file, or it holds no Ed25519 key
 */
export async function loadIdentity(file: string): Promise<PrivateKey> {
  const existing = await readKey(file);
  if (existing) return existing;
  await createKey(file);
  const created = await readKey(file);
  if (!created) throw new ConfigError("the identity file", file, "vanished while it was being created");
  return created;
}

/** The peer id of a key, as text. */
export function peerIdOf(key: PrivateKey): string {
  return peerIdFromPrivateKey(key).toString();
}

/** A key that is kept nowhere, for tests and for commands that only call. */
export async function newIdentity(): Promise<PrivateKey> {
  return generateKeyPair("Ed25519");
}

async function readKey(file: string): Promise<PrivateKey | undefined> {
  const facts = await stat(file).catch((error: unknown) => {
    if (isErrno(error, "ENOENT")) return undefined;
    throw new ConfigError("the identity file", file, "cannot be read", { cause: error });
  });
  if (!facts) return undefined;
  // Windows keeps no such bits.
  if (process.platform !== "win32" && (facts.mode & OTHERS) !== 0) {
    throw new ConfigError("the identity file", file, "must not be readable by others", {
      hint: `chmod 600 '${file}', or delete it if others may have read it: the node gets a new identity`,
    });
  }
  if (facts.size > MAX_KEY_FILE_BYTES) throw notAKey(file);
  return parseKey(file, await readFile(file));
}

function parseKey(file: string, bytes: Uint8Array): PrivateKey {
  try {
    const key = privateKeyFromProtobuf(bytes);
    if (key.type === "Ed25519") return key;
  } catch (cause) {
    throw notAKey(file, cause);
  }
  throw notAKey(file);
}

function notAKey(file: string, cause?: unknown): ConfigError {
  return new ConfigError("the identity file", file, "must hold an Ed25519 key (libp2p protobuf)", {
    cause,
    hint: "restore it from a backup, or delete it: the node gets a new identity",
  });
}

/** Writes a new key beside the file and links it into place, so that two starts at once agree on one key. */
async function createKey(file: string): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, "wx", OWNER_ONLY);
  try {
    await handle.writeFile(privateKeyToProtobuf(await generateKeyPair("Ed25519")));
    await handle.sync();
    await handle.close();
    await link(temporary, file);
    await syncFolder(dirname(file));
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
  } finally {
    await handle.close();
    await unlink(temporary);
  }
}

/** A name is on disk only once its folder is. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
