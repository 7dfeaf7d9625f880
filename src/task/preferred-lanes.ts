/**
 * Which lanes with a preference have tasks, as far as this process has heard: of tasks that it took in, and of what others
 * put into the same store.
 *
 * A claim names those that suit it, which costs a look each. To look through all lanes of the kind costs twenty times as
 * much for each model, so that is done now and then only: it finds what nobody here has heard of, such as what was there
 * before the process began.
 */
import { preferenceIn } from "./routing.ts";

/** How many are known; the one heard of for the first time goes first. */
export const MAX_KNOWN_LANES = 256;
/** A lane is known for so long after its turn is over. */
const KNOWN_MS = 60_000;
/** How often is looked for others. */
export const LOOK_MS = 5000;

interface Known {
  readonly lane: string;
  readonly workerId: string;
  readonly untilMs: number;
  /** Rises with each time that it was heard of. */
  readonly number: number;
}

/** The lanes of one queue. */
export class PreferredLanes {
  readonly #known = new Map<string, Known>();
  #number = 0;
  #lookAtMs = Number.NEGATIVE_INFINITY;

  /** Notes that `lane` has tasks. @returns whose turn it is until when; undefined if it prefers nobody */
  heard(lane: string): { readonly untilMs: number } | undefined {
    const preference = preferenceIn(lane);
    if (!preference) return undefined;
    this.#known.set(lane, { ...preference, number: ++this.#number });
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN_LANES && oldest !== undefined) this.#known.delete(oldest);
    return preference;
  }

  /** Whether none is known. */
  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  /** The lanes for these workers, and those whose turn is over and whose later lane `takes` suits. */
  for(workers: readonly string[], takes: (lane: string) => boolean, nowMs: number): readonly string[] {
    const found: string[] = [];
    for (const [name, { lane, workerId, untilMs }] of this.#known) {
      if (nowMs - untilMs > KNOWN_MS) this.#known.delete(name);
      else if ((untilMs <= nowMs || workers.includes(workerId)) && takes(lane)) found.push(name);
    }
    return found;
  }

  /** Where {@link PreferredLanes.empty} begins to count. */
  get mark(): number {
    return this.#number;
  }

  /** Forgets lanes that were found empty, but for those heard of after `mark`. */
  empty(lanes: readonly string[], mark: number): void {
    for (const lane of lanes) if ((this.#known.get(lane)?.number ?? 0) <= mark) this.#known.delete(lane);
  }

  /** Whether it is time to look through all; if so, the next time is later. */
  mayLook(nowMs: number): boolean {
    if (nowMs < this.#lookAtMs) return false;
    this.#lookAtMs = nowMs + LOOK_MS;
    return true;
  }

  /** There is more to be found: the next claim looks through all. */
  lookSoon(): void {
    this.#lookAtMs = Number.NEGATIVE_INFINITY;
  }
}
