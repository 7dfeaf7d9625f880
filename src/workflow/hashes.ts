/**
 * The hashes that decide who owns a task, byte for byte as the old system makes them (contract.md 4.2 and 4.3).
 *
 * All are SHA-256 over UTF-8 text, in 64 lower-case hexadecimal digits. The parts of a text are joined by colons that
 * nobody escapes, so different parts can give one hash: these hashes choose, they do not identify.
 */
import { createHash } from "node:crypto";
import { InvalidInputError } from "../errors.ts";

/** A task of the queue. */
export function taskHash(taskId: string, taskType: string, modelName: string): string {
  return sha256(`${taskId}:${taskType}:${modelName}`);
}

/** A task of the workflow scheduler. */
export function workflowTaskHash(taskId: string, workflowId: string): string {
  return sha256(`${taskId}:${workflowId}`);
}

/** A peer. The id is taken as it is; the legacy rule trims it first. */
export function peerHash(peerId: string): string {
  return sha256(peerId);
}

/** What the old system compares peers with: the clock and the task together. */
export function combinedHash(clockRoot: string, hash: string): string {
  return sha256(`${clockRoot}:${hash}`);
}

/**
 * How many bits of two hexadecimal texts differ: 0 to 256 for two hashes.
 *
 * Case does not matter. Of texts of unequal length the leading bits are compared, as the original does; it also reads
 * underscores between digits, because Python's `int` does.
 *
 * @throws InvalidInputError if one of them is no hexadecimal number
 */
export function hammingDistance(hexA: string, hexB: string): number {
  const [a, b] = [bitsOf(hexA), bitsOf(hexB)];
  const length = Math.min(a.length, b.length);
  let distance = 0;
  for (let i = 0; i < length; i++) distance += a[i] === b[i] ? 0 : 1;
  return distance;
}

/** Python's `int(text, 16)` accepts this much. */
const HEX = /^[0-9a-f]+(_[0-9a-f]+)*$/i;

/** The bits as the original pads them: four for each character, an underscore included. */
function bitsOf(hex: string): string {
  if (!HEX.test(hex)) {
    throw new InvalidInputError("a Hamming distance needs two hexadecimal numbers", {
      hint: "give two hashes of 64 hexadecimal digits",
    });
  }
  return BigInt(`0x${hex.replaceAll("_", "")}`)
    .toString(2)
    .padStart(hex.length * 4, "0");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
