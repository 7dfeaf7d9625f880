/** What goes wrong in a simulation, and when: drawn from the seed before it begins. */
import { InvalidInputError } from "../errors.ts";
import type { Random, Span } from "./random.ts";

/** Everything that can go wrong. */
export const FAULTS = ["partition", "delay", "duplicate", "loss", "skew", "crash", "pause"] as const;

/** One kind of fault. */
export type Fault = (typeof FAULTS)[number];

/** The kinds that a text names: `all`, `none`, or some with commas between. @throws InvalidInputError */
export function parseFaults(text: string): ReadonlySet<Fault> {
  if (text === "all") return new Set(FAULTS);
  if (text === "none") return new Set();
  return new Set(
    text.split(",").map((word) => {
      const fault = FAULTS.find((one) => one === word.trim());
      if (fault) return fault;
      throw new InvalidInputError(`there is no fault '${word.trim()}'`, {
        hint: `use all, none, or some of ${FAULTS.join(", ")}`,
      });
    }),
  );
}

/** Something that happens to one peer, or to the network, from `atMs` to `untilMs`. */
export type Mishap =
  | {
      readonly kind: "crash" | "pause";
      readonly peer: number;
      readonly atMs: number;
      readonly untilMs: number;
    }
  | { readonly kind: "jump"; readonly peer: number; readonly atMs: number; readonly byMs: number }
  | {
      readonly kind: "partition";
      /** The side of each peer. */
      readonly sides: readonly number[];
      readonly atMs: number;
      readonly untilMs: number;
    };

/** Faults come so often for each kind, on average, for each peer or for the network. */
const CRASHES_PER_PEER = 0.4;
const PAUSES_PER_PEER = 0.4;
const JUMPS_PER_PEER = 0.3;
const PARTITIONS = 3;
/** How long they last, in milliseconds: some shorter than a lease, some longer. */
const DOWN_MS = [200, 9000] as const;
const PAUSE_MS = [100, 9000] as const;
const PARTITION_MS = [500, 9000] as const;
/** The clocks of two machines may differ by so much at the start, and are set by so much on the way. */
const SKEW_MS = 3_600_000;
const JUMP_MS = 2000;

/** How far each wall clock is off at the beginning, in milliseconds. */
export function skewsOf(random: Random, peers: number, faults: ReadonlySet<Fault>): readonly number[] {
  return Array.from({ length: peers }, () => (faults.has("skew") ? random.whole(-SKEW_MS, SKEW_MS) : 0));
}

/** What happens in the first `untilMs` milliseconds, in order. All is well again by then. */
export function mishapsOf(
  random: Random,
  peers: number,
  faults: ReadonlySet<Fault>,
  untilMs: number,
): readonly Mishap[] {
  const mishaps: Mishap[] = [];
  const span = (lasting: Span): { atMs: number; untilMs: number } => {
    const atMs = random.whole(0, untilMs);
    return { atMs, untilMs: Math.min(untilMs, atMs + random.within(lasting)) };
  };
  for (let peer = 0; peer < peers; peer++) {
    if (faults.has("crash") && random.chance(CRASHES_PER_PEER))
      mishaps.push({ kind: "crash", peer, ...span(DOWN_MS) });
    if (faults.has("pause") && random.chance(PAUSES_PER_PEER))
      mishaps.push({ kind: "pause", peer, ...span(PAUSE_MS) });
    if (faults.has("skew") && random.chance(JUMPS_PER_PEER))
      mishaps.push({
        kind: "jump",
        peer,
        atMs: random.whole(0, untilMs),
        byMs: random.whole(-JUMP_MS, JUMP_MS),
      });
  }
  for (let count = 0; faults.has("partition") && count < PARTITIONS; count++) {
    const sides = Array.from({ length: peers }, () => random.whole(0, 1));
    mishaps.push({ kind: "partition", sides, ...span(PARTITION_MS) });
  }
  return mishaps.toSorted((a, b) => a.atMs - b.atMs);
}
