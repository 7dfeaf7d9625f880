/** What a way in is. */
import type { Random } from "../support/random.ts";

/** Where the process that is fuzzed listens. */
export interface Addresses {
  readonly http: string;
  readonly p2p: string;
  readonly linesPort: number;
}

/** An open way in. */
export interface Attack extends AsyncDisposable {
  /** Sends so many messages on one connection and waits for the end of it. */
  send(random: Random, messages: number): Promise<void>;
  /** Asks something sensible. @returns the answer's text */
  probe(): Promise<string>;
}

/** A way in. */
export interface Face {
  readonly name: string;
  /** Messages that one connection carries; a broken one ends it, so the last one only is broken. */
  readonly perConnection: number;
  /** In the answer to {@link Attack.probe}, and in no other. */
  readonly probeSeen: string;
  open(addresses: Addresses): Promise<Attack>;
}

/** A connection on which nothing moves any more is given up after this: a mutated request may ask to wait. */
export const QUIET_MS = 150;

/**
 * A sensible question may take so long while the machine does other things: a face sends on as soon as nothing moves,
 * so on a busy machine the answer stands behind all that was sent. Whether anything held the event loop is measured.
 */
export const PROBE_MS = 180_000;

/** Calls `seen` once what it was given has `until` in it. */
export function listener(until: string, seen: () => void): { push(chunk: Buffer): void; text(): string } {
  let text = "";
  return {
    push(chunk) {
      text += chunk.toString("latin1");
      if (text.includes(until)) seen();
    },
    text: () => text,
  };
}
