/**
 * What a node says of itself in the registry, signed with the key of its peer id.
 *
 * The signature covers `mcplusplus registry record 1`, a line feed, and the canonical JSON of the member `record`, so
 * nobody can change the addresses, the time or the namespace, or use the signature elsewhere. Copying a record into
 * another comment changes nothing about what it says. Beside `record` stand the members of the Python system's record,
 * so that old nodes read the same comment; we do not look at them where there is a `record`.
 */
import { publicKeyFromProtobuf } from "@libp2p/crypto/keys";
import type { PublicKey } from "@libp2p/interface";
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id";
import * as z from "zod";
import { canonicalJson } from "../../content/canonical-json.ts";
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { InvalidInputError } from "../../errors.ts";
import { parseMultiaddr, peerIdIn } from "../../p2p/index.ts";
import { CLOCK_SKEW_MS, MAX_ADDRESS_CHARS, MAX_RECORD_ADDRESSES, MAX_RECORD_TTL_MS } from "./limits.ts";
import { oldFields } from "./old-record.ts";
import type { RecordFacts, RegistryRecord } from "./registry-record.ts";

const DOMAIN = "mcplusplus registry record 1\n";

const instant = z.iso.datetime().transform((text) => Date.parse(text));
const recordSchema = z.looseObject({
  version: z.literal(1),
  namespace: z.string(),
  peer_id: z.string().max(128),
  multiaddrs: z.array(z.string().max(MAX_ADDRESS_CHARS)).max(MAX_RECORD_ADDRESSES),
  issued_at: instant,
  expires_at: instant,
});
const signedSchema = z.object({
  record: recordSchema,
  signature: z.string().max(1024),
  public_key: z.string().max(1024).optional(),
});

/**
 * The JSON object of a signed record.
 *
 * @param sign - signs with the key of the peer id
 * @param publicKey - its protobuf form; needed only if it is not inside the peer id
 */
export async function signRecord(
  facts: RecordFacts,
  sign: (bytes: Uint8Array) => Promise<Uint8Array>,
  publicKey?: Uint8Array,
): Promise<JsonObject> {
  const record = {
    version: 1,
    namespace: facts.namespace,
    peer_id: facts.peerId,
    multiaddrs: facts.multiaddrs.slice(0, MAX_RECORD_ADDRESSES),
    issued_at: new Date(facts.issuedAtMs).toISOString(),
    expires_at: new Date(facts.expiresAtMs).toISOString(),
  };
  const bytes = signedBytes(record);
  if (!bytes) throw new InvalidInputError("the record has no canonical text");
  const signature = await sign(bytes);
  const key = publicKey === undefined ? {} : { public_key: Buffer.from(publicKey).toString("base64") };
  return { ...oldFields(facts), record, ...key, signature: Buffer.from(signature).toString("base64") };
}

/**
 * Reads a signed record and checks its signature.
 *
 * @param nowMs - the present as the registry's server sees it; what was issued after it is not believed
 * @returns undefined unless the owner of the peer id has signed exactly this for this namespace
 */
export async function readSigned(
  content: JsonObject,
  namespace: string,
  nowMs: number,
): Promise<RegistryRecord | undefined> {
  const parsed = signedSchema.safeParse(content);
  if (!parsed.success || parsed.data.record.namespace !== namespace) return undefined;
  const { record, signature, public_key: publicKey } = parsed.data;
  const { issued_at: issuedAtMs, expires_at: expiresAtMs } = record;
  const lifeMs = expiresAtMs - issuedAtMs;
  if (lifeMs <= 0 || lifeMs > MAX_RECORD_TTL_MS || issuedAtMs > nowMs + CLOCK_SKEW_MS) return undefined;
  const key = keyOf(record.peer_id, publicKey);
  const raw = content["record"];
  if (!key || !isJsonObject(raw)) return undefined;
  const bytes = signedBytes(raw);
  if (!bytes || !(await isSignatureOf(key, bytes, signature))) return undefined;
  const multiaddrs = record.multiaddrs.filter((text) => isAddressOf(record.peer_id, text));
  return { peerId: record.peer_id, multiaddrs, issuedAtMs, expiresAtMs, signed: true };
}

/** Whether a text is a multiaddr that leads to this peer and no other. */
export function isAddressOf(peerId: string, text: string): boolean {
  try {
    return peerIdIn(parseMultiaddr(text)) === peerId;
  } catch (error) {
    if (error instanceof InvalidInputError) return false;
    throw error;
  }
}

/** What is signed; undefined if the record has no single text, so that one odd comment does not cost the others. */
function signedBytes(record: JsonObject): Uint8Array | undefined {
  try {
    return new TextEncoder().encode(DOMAIN + canonicalJson(record));
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

/** The key of a peer id in its usual text: an Ed25519 id holds its key, an RSA id only the hash of one. */
function keyOf(text: string, given: string | undefined): PublicKey | undefined {
  try {
    const peerId = peerIdFromString(text);
    if (peerId.toString() !== text) return undefined;
    if (peerId.publicKey) return peerId.publicKey;
    if (given === undefined) return undefined;
    const key = publicKeyFromProtobuf(Buffer.from(given, "base64"));
    return peerIdFromPublicKey(key).toString() === text ? key : undefined;
  } catch {
    // Neither the id nor the key is ours: what cannot be read belongs to nobody.
    return undefined;
  }
}

async function isSignatureOf(key: PublicKey, bytes: Uint8Array, signature: string): Promise<boolean> {
  try {
    return await key.verify(bytes, Buffer.from(signature, "base64"));
  } catch {
    // Some keys throw where others say no, such as for a signature of the wrong length.
    return false;
  }
}
