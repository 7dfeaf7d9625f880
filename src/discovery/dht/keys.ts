/** The names under which a namespace stands in a DHT. */
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";

/** Keeps our keys apart from those of others who hash the same name. */
const KEY_PREFIX = "mcplusplus/namespace/";

/** The CID that nodes of a namespace provide: version 1, raw, SHA-256 of the prefixed name. */
export async function keyOf(namespace: string): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(new TextEncoder().encode(KEY_PREFIX + namespace)));
}

/** The key of old Python nodes: the bare bytes of the name, which are no multihash (defect D-40). */
export function oldKeyOf(namespace: string): Uint8Array {
  return new TextEncoder().encode(namespace);
}
