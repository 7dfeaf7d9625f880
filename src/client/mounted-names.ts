/** Names of mounted tools: `<mount>__<tool>`, within what MCP hosts accept. */
import { createHash } from "node:crypto";

/** What hosts accept as the name of a tool. */
const ACCEPTED = /^[A-Za-z0-9_-]{1,64}$/;
const MAX_NAME_CHARS = 64;
const NOT_ACCEPTED = /[^A-Za-z0-9_-]/g;
/** Hexadecimal digits of the digest that keeps a changed name apart from others: 40 bits. */
const DIGEST_CHARS = 10;

/**
 * The name of the tool `tool` of the mount `mount`.
 *
 * It depends on nothing else, so every node that mounts the same server under the same name has the same tools. Where
 * `<mount>__<tool>` is too long, has characters that are not accepted, or could be read as another pair, it is mended
 * and ends in a digest of both names.
 */
export function mountedName(mount: string, tool: string): string {
  const plain = `${mount}__${tool}`;
  // The first "__" must be the one between the two.
  const ambiguous = mount.includes("__") || mount.endsWith("_");
  if (ACCEPTED.test(plain) && !ambiguous) return plain;
  const digest = createHash("sha256")
    .update(JSON.stringify([mount, tool]))
    .digest("hex")
    .slice(0, DIGEST_CHARS);
  return `${plain.replaceAll(NOT_ACCEPTED, "_").slice(0, MAX_NAME_CHARS - DIGEST_CHARS - 1)}_${digest}`;
}
