/**
 * Finds out that a peer is gone without a word: its cable was pulled, its address changed, packets to it are dropped.
 *
 * TCP would go on sending for a quarter of an hour. A link on which somebody waits for an answer and nothing comes is
 * asked for a sign of life on its own stream, which costs a hundredth of a libp2p ping; any answer is one, a refusal
 * too. Without it the connection is cut: calls that may be repeated are made anew, the others fail, and both at once.
 */
import type { Clock } from "../clock.ts";
import { ConnectionLostError, PeerTimeoutError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { type Nursery, rethrowIfCancelled } from "../nursery/index.ts";
import type { P2pLimits } from "./limits.ts";
import type { Link } from "./link.ts";

/** The question; no node has a method of this name, and says so. */
const PROBE = "link.alive";
/** How often links are looked at, as a part of the time they may be silent. */
const LOOKS_PER_SILENCE = 3;

/** What watching needs. */
export interface LinkWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: P2pLimits;
  readonly nursery: Nursery;
  readonly links: () => readonly Link[];
}

/** Watches the links of a host. */
export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #probing = new WeakSet<Link>();
  #stop: () => void = () => undefined;
  #lookedAtMs = 0;
  #awakeSinceMs = 0;

  constructor(options: LinkWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, limits } = this.#options;
    const everyMs = limits.silentMs / LOOKS_PER_SILENCE;
    this.#lookedAtMs = clock.now();
    const look = (): void => {
      this.#look(everyMs);
      this.#stop = clock.schedule(look, everyMs);
    };
    this.#stop = clock.schedule(look, everyMs);
  }

  stop(): void {
    this.#stop();
  }

  #look(everyMs: number): void {
    const { clock, links, limits, nursery } = this.#options;
    const now = clock.now();
    // This process stood still: what has come meanwhile is not read yet, so silence counts from here on.
    if (now - this.#lookedAtMs > everyMs * 2) this.#awakeSinceMs = now;
    this.#lookedAtMs = now;
    for (const link of links()) {
      const silentMs = now - Math.max(link.wire.lastHeardMs, this.#awakeSinceMs);
      if (link.inFlight === 0 || silentMs < limits.silentMs || this.#probing.has(link)) continue;
      nursery.startSoon(() => this.#probe(link), "probe a link");
    }
  }

  async #probe(link: Link): Promise<void> {
    const { clock, limits, logger } = this.#options;
    this.#probing.add(link);
    const sentMs = clock.now();
    const request = { timeoutMs: limits.probeMs, untilMs: sentMs + limits.probeMs, signal: undefined };
    try {
      await link.request(PROBE, {}, request);
    } catch (error) {
      rethrowIfCancelled(error);
      // Any other failure is an answer, or the end of the link for a reason of its own.
      if (!(error instanceof PeerTimeoutError) || link.wire.lastHeardMs > sentMs) return;
      const silentMs = Math.round(clock.now() - link.wire.lastHeardMs);
      logger.warn({ peer: link.peerId, silentMs }, "a peer gives no sign of life; its connection is cut");
      link.session.connection.abort(
        new ConnectionLostError(`peer ${link.peerId} has given no sign of life for ${silentMs} ms`),
      );
    } finally {
      this.#probing.delete(link);
    }
  }
}
