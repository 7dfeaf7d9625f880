/** Records what a search does. */
import type { Clock } from "../clock.ts";
import { isCancelled } from "../nursery/index.ts";
import type {
  AddressClass,
  DialOutcome,
  DialTrace,
  MechanismOutcome,
  MechanismTrace,
  SearchTrace,
} from "../peer/trace.ts";

type Growing<T> = { -readonly [K in keyof T]: T[K] };

/** A dial under way. */
export interface DialRecord {
  end(outcome: DialOutcome, detail?: string): void;
}

/** A mechanism being asked. */
export class MechanismRecord {
  readonly #now: () => number;
  readonly #row: Growing<Omit<MechanismTrace, "dials">>;
  readonly #dials: Growing<DialTrace>[] = [];

  constructor(mechanism: string, now: () => number) {
    this.#now = now;
    this.#row = { mechanism, startedMs: now(), hints: 0 };
  }

  get name(): string {
    return this.#row.mechanism;
  }

  get ended(): boolean {
    return this.#row.outcome !== undefined;
  }

  hints(count: number): void {
    this.#row.hints += count;
  }

  dial(address: string, kind: AddressClass): DialRecord {
    const row: Growing<DialTrace> = { address, class: kind, startedMs: this.#now() };
    this.#dials.push(row);
    return {
      end: (outcome, detail) => {
        row.endedMs = this.#now();
        row.outcome = outcome;
        if (detail !== undefined) row.detail = detail;
      },
    };
  }

  end(outcome: MechanismOutcome, detail?: string): void {
    this.#row.endedMs = this.#now();
    this.#row.outcome = outcome;
    if (detail !== undefined) this.#row.detail = detail;
  }

  /** Ends it with what asking threw. */
  fail(error: unknown): void {
    if (isCancelled(error)) this.end("cancelled");
    else this.end("failed", error instanceof Error ? error.message : String(error));
  }

  get trace(): MechanismTrace {
    return { ...this.#row, dials: this.#dials.map((dial) => ({ ...dial })) };
  }
}

/** The record of one search. */
export class SearchRecord {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #startedAtMs: number;
  readonly #mechanisms: MechanismRecord[] = [];
  /** Every address that was dialled: two mechanisms that name the same one cost one dial. */
  readonly tried: Set<string> = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.now();
    this.#startedAtMs = clock.epochMs();
  }

  mechanism(name: string): MechanismRecord {
    const record = new MechanismRecord(name, () => this.#elapsed());
    this.#mechanisms.push(record);
    return record;
  }

  get trace(): SearchTrace {
    return {
      startedAtMs: this.#startedAtMs,
      elapsedMs: this.#elapsed(),
      mechanisms: this.#mechanisms.map((record) => record.trace),
    };
  }

  /** What was tried and how it ended, for an error message; "" if nothing was. */
  get words(): string {
    return this.trace.mechanisms.flatMap(wordsOf).join("; ");
  }

  #elapsed(): number {
    return Math.round(this.#clock.now() - this.#startedMs);
  }
}

function wordsOf({ mechanism, outcome, detail, dials }: MechanismTrace): readonly string[] {
  if (outcome === "failed") return [`${mechanism}: ${detail ?? "failed"}`];
  return dials
    .filter((dial) => dial.outcome !== "cancelled")
    .map((dial) => `${dial.address} (${mechanism}): ${dial.detail ?? dial.outcome ?? "no answer yet"}`);
}
