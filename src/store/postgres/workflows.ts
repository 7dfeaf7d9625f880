/** A {@link WorkflowStore} in PostgreSQL: of all nodes that share the database, one conducts a run at a time. */
import * as z from "zod";
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
import {
  eventChecksum,
  eventOfRow,
  RUN_COLUMNS,
  runPage,
  runRow,
  runsBefore,
  withoutNumber,
} from "../run-rows.ts";
import { parsed } from "../rows.ts";
import type { Lifetime } from "../stores.ts";
import type { Bell } from "./bell.ts";
import { type Database, onlyRow } from "./database.ts";

const INSERT = `
  INSERT INTO workflow_runs (id, workflow, state, length, asking, idempotency_key, digest, created_ms, updated_ms)
  VALUES ($1, $2, 'running', 1, 0, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING seq`;
const BY_KEY = "SELECT id, digest FROM workflow_runs WHERE idempotency_key = $1";
const INSERT_EVENTS = `
  INSERT INTO workflow_events (run, n, event, crc)
  SELECT $1::bigint, e.n, e.event, e.crc FROM unnest($2::integer[], $3::text[], $4::bigint[]) AS e (n, event, crc)`;
// Locked, so that of two who append after the same event the second sees what the first has added.
const FOR_APPEND = "SELECT seq, length, instance FROM workflow_runs WHERE id = $1 FOR UPDATE";
const UPDATE = `
  UPDATE workflow_runs
     SET state = $2, asking = $3, length = $4, updated_ms = $5,
         conductor = CASE WHEN $2 = 'running' THEN conductor END, instance = CASE WHEN $2 = 'running' THEN instance END,
         until_ms = CASE WHEN $2 = 'running' THEN until_ms END
   WHERE seq = $1`;
const EVENTS = `
  SELECT e.run, e.n, e.event, e.crc FROM workflow_runs r JOIN workflow_events e ON e.run = r.seq
   WHERE r.id = $1 AND e.n > $2 ORDER BY e.n LIMIT $3`;
const GET = `SELECT ${RUN_COLUMNS} FROM workflow_runs WHERE id = $1`;
const LIST = `
  SELECT ${RUN_COLUMNS} FROM workflow_runs
   WHERE seq < $1 AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR workflow = $3)
     AND ($4::boolean IS NULL OR (asking > 0) = $4)
   ORDER BY seq DESC LIMIT $5`;
// Those that another node is taking at this moment are left to it.
const TAKE = `
  UPDATE workflow_runs SET conductor = $1, instance = $2, until_ms = $3
   WHERE seq IN (SELECT seq FROM workflow_runs
                  WHERE state = 'running' AND instance IS DISTINCT FROM $2
                    AND (instance IS NULL OR conductor = $1 OR until_ms <= $5)
                  ORDER BY seq LIMIT $4 FOR UPDATE SKIP LOCKED)`;
// The statement above may have run twice, after its first answer was lost; so what it gave is read.
const TAKEN = `
  SELECT seq, id FROM workflow_runs WHERE state = 'running' AND instance = $1 ORDER BY seq`;
const NEXT_FREE = `
  SELECT min(coalesce(until_ms, 0)) AS until_ms FROM workflow_runs
   WHERE state = 'running' AND instance IS DISTINCT FROM $1`;
const RENEW = `
  UPDATE workflow_runs SET until_ms = $2 WHERE state = 'running' AND instance = $1 RETURNING seq, id`;
const SURVEY = `
  SELECT id AS "runId", length FROM workflow_runs WHERE state = 'running' AND instance = $1`;
const RELEASE = `
  UPDATE workflow_runs SET conductor = NULL, instance = NULL, until_ms = NULL
   WHERE state = 'running' AND instance = $1`;
const OLD = `
  SELECT seq FROM workflow_runs WHERE state <> 'running' AND updated_ms < $1 ORDER BY updated_ms LIMIT $2
     FOR UPDATE SKIP LOCKED`;
const DELETE_EVENTS = "DELETE FROM workflow_events WHERE run = ANY ($1::bigint[])";
const DELETE_RUNS = "DELETE FROM workflow_runs WHERE seq = ANY ($1::bigint[])";

const seqRow = z.object({ seq: z.int() });
const keyRow = z.object({ id: z.string(), digest: z.string() });
const appendRow = z.object({ seq: z.int(), length: z.int(), instance: z.string().nullable() });
const idRow = z.object({ seq: z.int(), id: z.string() });
const surveyRow = z.object({ runId: z.string(), length: z.int() });
const freeRow = z.object({ until_ms: z.number().nullable() });

/** What the store works with. */
export interface PostgresWorkflowParts {
  readonly database: Database;
  readonly bell: Bell;
  readonly lifetime: Lifetime;
}

/** The runs of all nodes that share a database. */
export class PostgresWorkflowStore implements WorkflowStore {
  readonly #database: Database;
  readonly #bell: Bell;
  readonly #lifetime: Lifetime;

  constructor({ database, bell, lifetime }: PostgresWorkflowParts) {
    this.#database = database;
    this.#bell = bell;
    this.#lifetime = lifetime;
  }

  async create(
    { id, workflow, idempotencyKey: key, digest }: NewRun,
    first: RunEvent,
    nowMs: number,
  ): Promise<{ readonly runId: string; readonly created: boolean }> {
    this.#lifetime.check();
    const text = JSON.stringify(first);
    const answer = await this.#database.transact(async (tx) => {
      const [inserted] = await tx.run({ text: INSERT, values: [id, workflow, key ?? null, digest, nowMs] });
      const row = inserted?.[0];
      if (row) {
        const { seq } = parsed(seqRow, row);
        const values = [seq, [1], [text], [eventChecksum(seq, 1, text)]];
        return { writes: [{ text: INSERT_EVENTS, values }], value: { runId: id, created: true } };
      }
      const [found] = await tx.run({ text: BY_KEY, values: [key ?? null] });
      const known = parsed(keyRow, onlyRow(found));
      if (known.digest !== digest) throw new IdempotencyConflictError(key ?? "", known.id);
      return { writes: [], value: { runId: known.id, created: false } };
    });
    this.#bell.ring();
    return answer;
  }

  async append(
    runId: string,
    events: readonly RunEvent[],
    { state, asking }: RunChange,
    nowMs: number,
    instance?: string,
  ): Promise<void> {
    this.#lifetime.check();
    const after = (events[0]?.seq ?? 1) - 1;
    const texts = events.map((event) => JSON.stringify(event));
    await this.#database.transact(async (tx) => {
      const [found] = await tx.run({ text: FOR_APPEND, values: [runId] });
      const row = found?.[0];
      if (!row) throw new RunNotFoundError(runId);
      const { seq, length, instance: conducting } = parsed(appendRow, row);
      if (instance !== undefined && conducting !== instance) throw new ConductorLostError(runId);
      if (length !== after) throw new RunConflictError(runId, after);
      const numbers = events.map((event) => event.seq);
      const sums = texts.map((text, i) => eventChecksum(seq, numbers[i] ?? 0, text));
      const writes = [
        { text: INSERT_EVENTS, values: [seq, numbers, texts, sums] },
        { text: UPDATE, values: [seq, state, asking, after + events.length, nowMs] },
      ];
      return { writes, value: undefined };
    });
    this.#bell.ring();
  }

  async events(runId: string, after: number, limit: number): Promise<readonly RunEvent[]> {
    this.#lifetime.check();
    return (await this.#database.query(EVENTS, [runId, after, limit])).map(eventOfRow);
  }

  async get(runId: string): Promise<RunRow | undefined> {
    this.#lifetime.check();
    const [row] = await this.#database.query(GET, [runId]);
    return row && withoutNumber(runRow(row));
  }

  async list({
    state,
    workflow,
    asking,
    limit,
    cursor,
  }: RunFilter & { readonly limit: number }): Promise<RunPage> {
    this.#lifetime.check();
    const values = [runsBefore(cursor), state ?? null, workflow ?? null, asking ?? null, limit + 1];
    return runPage((await this.#database.query(LIST, values)).map(runRow), limit);
  }

  async take(
    { name, instance }: ConductorName,
    untilMs: number,
    limit: number,
    nowMs: number,
  ): Promise<Taken> {
    this.#lifetime.check();
    const before = new Set(await this.#heldBy(instance));
    await this.#database.query(TAKE, [name, instance, untilMs, limit, nowMs]);
    const runIds = (await this.#heldBy(instance)).filter((id) => !before.has(id));
    const [row] = await this.#database.query(NEXT_FREE, [instance]);
    const { until_ms: nextFreeMs } = parsed(freeRow, row);
    return nextFreeMs === null ? { runIds } : { runIds, nextFreeMs };
  }

  async renew(instance: string, untilMs: number): Promise<readonly string[]> {
    this.#lifetime.check();
    const rows = await this.#database.query(RENEW, [instance, untilMs]);
    return rows.map((row) => parsed(idRow, row).id);
  }

  async release(instance: string): Promise<void> {
    this.#lifetime.check();
    await this.#database.query(RELEASE, [instance]);
    this.#bell.ring();
  }

  async survey(instance: string): Promise<readonly { readonly runId: string; readonly length: number }[]> {
    this.#lifetime.check();
    return (await this.#database.query(SURVEY, [instance])).map((row) => parsed(surveyRow, row));
  }

  onForeignChange(listener: () => void): () => void {
    return this.#bell.onChange(listener);
  }

  async prune(beforeMs: number, limit: number): Promise<number> {
    this.#lifetime.check();
    return this.#database.transact(async (tx) => {
      const [rows = []] = await tx.run({ text: OLD, values: [beforeMs, limit] });
      const seqs = rows.map((row) => parsed(seqRow, row).seq);
      const writes = [
        { text: DELETE_EVENTS, values: [seqs] },
        { text: DELETE_RUNS, values: [seqs] },
      ];
      return { writes, value: seqs.length };
    });
  }

  async #heldBy(instance: string): Promise<readonly string[]> {
    return (await this.#database.query(TAKEN, [instance])).map((row) => parsed(idRow, row).id);
  }
}
