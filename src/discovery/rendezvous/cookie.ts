/**
 * Where a client has read to: which run of the server, the number of the last registration, and the namespace.
 *
 * Numbers begin anew when the server does, so a cookie of an earlier run is refused and the client begins anew too.
 */

/** Bytes that name one run of a server. */
export const RUN_BYTES = 8;
const NUMBER_BYTES = 8;

/** The bytes of a cookie. */
export function encodeCookie(run: Uint8Array, last: number, namespace: string): Uint8Array {
  const number = Buffer.alloc(NUMBER_BYTES);
  number.writeBigUInt64BE(BigInt(last));
  return Buffer.concat([run, number, Buffer.from(namespace)]);
}

/** @returns the number after which to go on; 0 for an empty cookie; undefined if it is none of this run and namespace */
export function decodeCookie(cookie: Uint8Array, run: Uint8Array, namespace: string): number | undefined {
  if (cookie.length === 0) return 0;
  const bytes = Buffer.from(cookie);
  const head = RUN_BYTES + NUMBER_BYTES;
  if (bytes.length < head || !bytes.subarray(0, RUN_BYTES).equals(run)) return undefined;
  if (bytes.subarray(head).toString() !== namespace) return undefined;
  return Number(bytes.readBigUInt64BE(RUN_BYTES));
}
