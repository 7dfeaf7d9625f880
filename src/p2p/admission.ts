/** The streams that peers open: which are taken in, and which have been open for too long. */
import type { Connection, Stream } from "@libp2p/interface";
import type { Clock } from "../clock.ts";
import { BusyError, ProtocolError, ShuttingDownError } from "../errors.ts";
import type { PeerBudget } from "./budget.ts";
import type { P2pLimits } from "./limits.ts";
import type { Protection } from "./protection.ts";
import type { ServedStream, ServeStream } from "./protocols/protocol.ts";
import type { Sessions } from "./session.ts";

/** How often idle streams are looked for at least, as a part of the idle time. */
const SWEEPS_PER_IDLE = 4;

/** What taking streams in needs. */
export interface AdmissionOptions {
  readonly sessions: Sessions;
  readonly protection: Protection;
  readonly clock: Clock;
  readonly limits: P2pLimits;
}

/** All streams that peers have opened to a host. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #served = new Map<ServedStream, PeerBudget>();
  #closed = false;
  #stopSweep: () => void = () => undefined;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Those that are open. */
  get streams(): readonly ServedStream[] {
    return [...this.#served.keys()];
  }

  /** Serves a stream, or resets it. */
  take(stream: Stream, connection: Connection, serve: ServeStream): void {
    if (this.#closed) {
      stream.abort(new ShuttingDownError("closing"));
      return;
    }
    const session = this.#options.sessions.of(connection);
    const { budget } = session;
    if (!budget.takeStream()) {
      const error = new BusyError("too many streams of this peer");
      budget.offend("too many streams", error.message);
      stream.abort(error);
      return;
    }
    const onGone = (gone: ServedStream): void => {
      budget.openStreams -= 1;
      budget.holders.delete(gone);
      budget.turns.wrote();
      this.#served.delete(gone);
    };
    const served = serve(stream, session, onGone);
    budget.holders.add(served);
    this.#served.set(served, budget);
  }

  /** Ends what is idle or too slow, now and again, until {@link Admission.close}. */
  watch(onSweep: (nowMs: number) => void): void {
    const { clock, limits, protection } = this.#options;
    this.#stopSweep = clock.schedule(
      () => {
        const now = clock.now();
        for (const [served, budget] of this.#served) {
          if (served.isSlowAt?.(now) === true) {
            const error = new ProtocolError("a message did not arrive in time");
            budget.offend("slow message", error.message);
            served.wire.abort(error);
          } else if (served.isIdleAt(now)) served.wire.closeSoon();
        }
        protection.sweep(now);
        onSweep(now);
        this.watch(onSweep);
      },
      Math.min(limits.sweepMs, limits.idleMs / SWEEPS_PER_IDLE),
    );
  }

  /** Takes nothing more. Streams that are open stay. */
  close(): void {
    this.#closed = true;
    this.#stopSweep();
  }
}
