/**
 * Looks at a write-ahead log before SQLite does.
 *
 * SQLite ends its recovery at the first frame whose checksum is wrong and forgets all that follows, without a word:
 * right for a write that a power cut tore, but a flipped bit in the middle would take acknowledged work with it.
 * This tells the two apart. A transaction is synchronised before the next one begins, so a frame of this log behind a
 * later commit proves that the bad frame was whole once. In the last transaction, a frame that is right but for one
 * bit was whole too; anything else there counts as torn.
 *
 * Format: https://www.sqlite.org/fileformat2.html, section 4.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { storeError } from "./failure.ts";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Of a header, so much is under its checksum; of a frame's header, {@link FRAME_SUMMED_BYTES}. */
const HEADER_SUMMED_BYTES = 24;
const FRAME_SUMMED_BYTES = 8;
const MAGIC = 0x377f0682;
/** The lowest bit of the magic number says that words are summed with the high byte first. */
const BIG_ENDIAN_SUMS = 1;
/** Another process may start the log anew while it is read; more often than this in a row means something else. */
const MAX_TRIES = 5;

/** `torn`: the last transaction was not finished, as after a power cut. `damaged`: acknowledged work is in doubt. */
export type WalState = "sound" | "torn" | "damaged";

/** Looks at the log of the database `path`; a log that is missing or empty is sound. @throws StoreFailedError */
export function inspectWal(path: string): WalState {
  let file: number;
  try {
    file = openSync(`${path}-wal`, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "sound";
    throw storeError(error, path);
  }
  try {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const header = readAt(file, 0, HEADER_BYTES);
      const state = stateOf(file, header);
      // The header changes before anything else when the log starts anew, so what was read belongs together.
      if (state === "sound" || header.equals(readAt(file, 0, HEADER_BYTES))) return state;
    }
    return "sound";
  } finally {
    closeSync(file);
  }
}

function readAt(file: number, position: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  return buffer.subarray(0, readSync(file, buffer, 0, bytes, position));
}

/** The running checksum. */
interface Sums {
  readonly s0: number;
  readonly s1: number;
}

const NO_SUMS: Sums = { s0: 0, s1: 0 };

function stateOf(file: number, header: Buffer): WalState {
  if (header.length < HEADER_BYTES || header.every((byte) => byte === 0)) return "sound";
  const magic = header.readUInt32BE(0);
  const little = (magic & BIG_ENDIAN_SUMS) === 0;
  const start = sum(header, 0, HEADER_SUMMED_BYTES, NO_SUMS, little);
  const known = magic >>> 1 === MAGIC >>> 1;
  if (!known || !isSum(header, HEADER_SUMMED_BYTES, start)) return "damaged";
  const frameBytes = FRAME_HEADER_BYTES + header.readUInt32BE(8);
  const frames = Math.floor((fstatSync(file).size - HEADER_BYTES) / frameBytes);
  const salts = header.subarray(16, 24);
  let sums = start;
  for (let n = 0; n < frames; n++) {
    const frame = readAt(file, HEADER_BYTES + n * frameBytes, frameBytes);
    if (frame.length < frameBytes) return "sound";
    const next = sumOfFrame(frame, sums, little);
    if (!frame.subarray(8, 16).equals(salts) || !isSum(frame, 16, next)) {
      const rest = { file, from: n, frames, frameBytes, salts };
      return judge(frame, sums, little, rest);
    }
    sums = next;
  }
  return "sound";
}

/** What lies behind the frames that are right. */
interface Rest {
  readonly file: number;
  readonly from: number;
  readonly frames: number;
  readonly frameBytes: number;
  readonly salts: Buffer;
}

function judge(frame: Buffer, sums: Sums, little: boolean, rest: Rest): WalState {
  if (isOneBitOff(frame, sums, little, rest.salts)) return "damaged";
  let ours = frame.subarray(8, 16).equals(rest.salts);
  let committed = ours && frame.readUInt32BE(4) !== 0;
  for (let n = rest.from + 1; n < rest.frames; n++) {
    const header = readAt(rest.file, HEADER_BYTES + n * rest.frameBytes, FRAME_HEADER_BYTES);
    if (header.length < FRAME_HEADER_BYTES || !header.subarray(8, 16).equals(rest.salts)) continue;
    if (committed) return "damaged";
    ours = true;
    committed = header.readUInt32BE(4) !== 0;
  }
  return ours ? "torn" : "sound";
}

/** Whether one flipped bit explains what is wrong with a frame: in its sums, in its salts, or in what is summed. */
function isOneBitOff(frame: Buffer, before: Sums, little: boolean, salts: Buffer): boolean {
  const saltBits = bitsApart(frame.subarray(8, 16), salts);
  if (saltBits > 1) return false;
  const right = sumOfFrame(frame, before, little);
  const sumBits = bitsIn(frame.readUInt32BE(16) ^ right.s0) + bitsIn(frame.readUInt32BE(20) ^ right.s1);
  if (saltBits + sumBits <= 1) return true;
  if (saltBits === 1) return false;
  const copy = Buffer.from(frame);
  for (let at = 0; at < copy.length; at++) {
    if (at === FRAME_SUMMED_BYTES) at = FRAME_HEADER_BYTES;
    const byte = copy[at] ?? 0;
    for (let bit = 1; bit < 256; bit *= 2) {
      copy[at] = byte ^ bit;
      if (isSum(copy, 16, sumOfFrame(copy, before, little))) return true;
    }
    copy[at] = byte;
  }
  return false;
}

function bitsApart(one: Buffer, other: Buffer): number {
  return one.reduce((bits, byte, i) => bits + bitsIn(byte ^ (other[i] ?? 0)), 0);
}

function bitsIn(word: number): number {
  let bits = 0;
  for (let left = word; left !== 0; left &= left - 1) bits += 1;
  return bits;
}

function sumOfFrame(frame: Buffer, before: Sums, little: boolean): Sums {
  const sums = sum(frame, 0, FRAME_SUMMED_BYTES, before, little);
  return sum(frame, FRAME_HEADER_BYTES, frame.length, sums, little);
}

function sum(bytes: Buffer, from: number, to: number, before: Sums, little: boolean): Sums {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let { s0, s1 } = before;
  for (let at = from; at < to; at += 8) {
    s0 = (s0 + view.getUint32(at, little) + s1) | 0;
    s1 = (s1 + view.getUint32(at + 4, little) + s0) | 0;
  }
  return { s0, s1 };
}

function isSum(bytes: Buffer, at: number, { s0, s1 }: Sums): boolean {
  return bytes.readInt32BE(at) === s0 && bytes.readInt32BE(at + 4) === s1;
}
