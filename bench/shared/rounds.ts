/**
 * Interleaved measurements: everybody has a turn in every round, so that other load on the machine meets all alike.
 * The median of the rounds counts; a ratio is the median of the ratios within the rounds.
 */
import type { Sample } from "./sample.ts";

/** Takes one measurement of one contestant. */
export type Measure = () => Promise<Sample>;

/** Reads a number off a sample. */
export type Reading = (sample: Sample) => number;

/** The middle of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** What all rounds brought, by the contestants' names. */
export class Rounds {
  readonly #samples = new Map<string, Sample[]>();

  add(name: string, sample: Sample): void {
    const known = this.#samples.get(name);
    if (known) known.push(sample);
    else this.#samples.set(name, [sample]);
  }

  /** The median over the rounds. */
  of(name: string, reading: Reading): number {
    return median((this.#samples.get(name) ?? []).map(reading));
  }

  /** The median over the rounds of what `name` has to what `base` has in the same round. */
  ratio(name: string, base: string, reading: Reading): number {
    const bases = this.#samples.get(base) ?? [];
    const ratios = (this.#samples.get(name) ?? []).map((sample, i) => {
      const other = bases[i];
      return other ? reading(sample) / reading(other) : Number.NaN;
    });
    return median(ratios.filter((ratio) => !Number.isNaN(ratio)));
  }
}

/** Runs every measurement in turn, `rounds` times after one round that only warms up; every second round backwards. */
export async function takeTurns(contestants: ReadonlyMap<string, Measure>, rounds: number): Promise<Rounds> {
  const results = new Rounds();
  const order = [...contestants];
  for (let round = 0; round <= rounds; round++) {
    for (const [name, measure] of round % 2 === 0 ? order : order.toReversed()) {
      const sample = await measure();
      if (round > 0) results.add(name, sample);
    }
  }
  return results;
}
