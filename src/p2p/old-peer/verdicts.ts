/** Which peers were found to be no nodes of ours, for a while. */
import type { Clock } from "../../clock.ts";

/**
 * `other`: not our methods, and nobody has looked further. `session`: the initialize-first dialect of
 * `/mcp+p2p/1.0.0`, with the tool `task_queue.rpc`. `line`: newline JSON on `/ipfs-datasets/task-queue/1.0.0`.
 */
export type Dialect = "other" | "session" | "line";

/** Peers that are remembered; forgetting one costs a question. */
const MAX_VERDICTS = 1000;
/** A peer that was updated is noticed after this at the latest; a wrong verdict shows at once. */
export const VERDICT_MS = 600_000;

interface Verdict {
  readonly dialect: Dialect;
  readonly untilMs: number;
}

/** The verdicts of one host. A map keeps the order of insertion, so the first is the oldest. */
export class Verdicts {
  readonly #clock: Clock;
  readonly #byPeer = new Map<string, Verdict>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the peer speaks, if that is known and not too old. */
  get(peerId: string): Dialect | undefined {
    const verdict = this.#byPeer.get(peerId);
    return verdict && this.#clock.now() < verdict.untilMs ? verdict.dialect : undefined;
  }

  set(peerId: string, dialect: Dialect): void {
    this.#byPeer.delete(peerId);
    const [oldest] = this.#byPeer.keys();
    if (this.#byPeer.size >= MAX_VERDICTS && oldest !== undefined) this.#byPeer.delete(oldest);
    this.#byPeer.set(peerId, { dialect, untilMs: this.#clock.now() + VERDICT_MS });
  }
}
