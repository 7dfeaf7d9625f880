/**
 * A {@link WorkflowStore} in maps, for tests and for nodes that keep nothing.
 *
 * All of a change happens before the first `await`, which is what makes it atomic. Keep it that way.
 */
import {
  ConductorLostError,
  IdempotencyConflictError,
  RunConflictError,
  RunNotFoundError,
} from "../../errors.ts";
import type { RunEvent } from "../../workflow/run/events.ts";
import type {
  ConductorName,
  NewRun,
  RunChange,
  RunFilter,
  RunPage,
  RunRow,
  Taken,
  WorkflowStore,
} from "../../workflow/run/store.ts";
import { runPage, runsBefore } from "../run-rows.ts";
import type { Lifetime } from "../stores.ts";

interface Record {
  readonly seq: number;
  readonly key: string | undefined;
  readonly digest: string;
  row: RunRow;
  instance: string | undefined;
  readonly events: RunEvent[];
}

/** The runs of a node that keeps nothing. */
export class MemoryWorkflowStore implements WorkflowStore {
  readonly #lifetime: Lifetime;
  /** By id; the order of insertion is that of their beginning. */
  readonly #runs = new Map<string, Record>();
  readonly #byKey = new Map<string, Record>();
  #seq = 0;

  constructor(lifetime: Lifetime) {
    this.#lifetime = lifetime;
  }

  async create(
    { id, workflow, idempotencyKey: key, digest }: NewRun,
    first: RunEvent,
    nowMs: number,
  ): Promise<{ readonly runId: string; readonly created: boolean }> {
    this.#lifetime.check();
    const known = key === undefined ? undefined : this.#byKey.get(key);
    if (known && key !== undefined) {
      if (known.digest !== digest) throw new IdempotencyConflictError(key, known.row.id);
      return { runId: known.row.id, created: false };
    }
    const row: RunRow = {
      id,
      workflow,
      state: "running",
      length: 1,
      asking: 0,
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
    };
    const record: Record = {
      seq: ++this.#seq,
      key,
      digest,
      row,
      instance: undefined,
      events: [structuredClone(first)],
    };
    this.#runs.set(id, record);
    if (key !== undefined) this.#byKey.set(key, record);
    return { runId: id, created: true };
  }

  async append(
    runId: string,
    events: readonly RunEvent[],
    change: RunChange,
    nowMs: number,
    instance?: string,
  ): Promise<void> {
    this.#lifetime.check();
    const record = this.#runs.get(runId);
    if (!record) throw new RunNotFoundError(runId);
    if (instance !== undefined && record.instance !== instance) throw new ConductorLostError(runId);
    const after = (events[0]?.seq ?? 1) - 1;
    if (record.row.length !== after) throw new RunConflictError(runId, after);
    record.events.push(...structuredClone(events));
    record.row = { ...record.row, ...change, length: record.events.length, updatedAtMs: nowMs };
    if (change.state !== "running") letGo(record);
  }

  async events(runId: string, after: number, limit: number): Promise<readonly RunEvent[]> {
    this.#lifetime.check();
    return structuredClone(this.#runs.get(runId)?.events.slice(after, after + limit) ?? []);
  }

  async get(runId: string): Promise<RunRow | undefined> {
    this.#lifetime.check();
    return this.#runs.get(runId)?.row;
  }

  async list({
    state,
    workflow,
    asking,
    limit,
    cursor,
  }: RunFilter & { readonly limit: number }): Promise<RunPage> {
    this.#lifetime.check();
    const before = runsBefore(cursor);
    const rows = [...this.#runs.values()]
      .toReversed()
      .filter(({ seq, row }) => seq < before && isWanted(row, { state, workflow, asking }))
      .slice(0, limit + 1)
      .map(({ seq, row }) => ({ ...row, seq }));
    return runPage(rows, limit);
  }

  async take(who: ConductorName, untilMs: number, limit: number, nowMs: number): Promise<Taken> {
    this.#lifetime.check();
    const { name, instance } = who;
    const others = [...this.#runs.values()].filter(
      (record) => record.row.state === "running" && record.instance !== instance,
    );
    const free = others.filter(
      ({ row }) =>
        row.conductor === undefined || row.conductor === name || (row.conductedUntilMs ?? 0) <= nowMs,
    );
    const taken = free.slice(0, limit);
    for (const record of taken) {
      record.instance = instance;
      record.row = { ...record.row, conductor: name, conductedUntilMs: untilMs };
    }
    const left = others
      .filter((record) => !taken.includes(record))
      .map(({ row }) => row.conductedUntilMs ?? nowMs);
    const runIds = taken.map(({ row }) => row.id);
    return left.length === 0 ? { runIds } : { runIds, nextFreeMs: Math.min(...left) };
  }

  async renew(instance: string, untilMs: number): Promise<readonly string[]> {
    this.#lifetime.check();
    const mine = this.#of(instance);
    for (const record of mine) record.row = { ...record.row, conductedUntilMs: untilMs };
    return mine.map(({ row }) => row.id);
  }

  async release(instance: string): Promise<void> {
    this.#lifetime.check();
    for (const record of this.#of(instance)) letGo(record);
  }

  async survey(instance: string): Promise<readonly { readonly runId: string; readonly length: number }[]> {
    this.#lifetime.check();
    return this.#of(instance).map(({ row }) => ({ runId: row.id, length: row.length }));
  }

  /** Nobody else can open a map. */
  onForeignChange(): () => void {
    return () => undefined;
  }

  async prune(beforeMs: number, limit: number): Promise<number> {
    this.#lifetime.check();
    const old = [...this.#runs.values()]
      .filter(({ row }) => row.state !== "running" && row.updatedAtMs < beforeMs)
      .slice(0, limit);
    for (const { row, key } of old) {
      this.#runs.delete(row.id);
      if (key !== undefined) this.#byKey.delete(key);
    }
    return old.length;
  }

  #of(instance: string): readonly Record[] {
    return [...this.#runs.values()].filter((record) => record.instance === instance);
  }
}

function letGo(record: Record): void {
  const { conductor: _, conductedUntilMs: __, ...row } = record.row;
  record.row = row;
  record.instance = undefined;
}

function isWanted(row: RunRow, { state, workflow, asking }: RunFilter): boolean {
  if (state !== undefined && row.state !== state) return false;
  if (workflow !== undefined && row.workflow !== workflow) return false;
  return asking === undefined || asking === row.asking > 0;
}
