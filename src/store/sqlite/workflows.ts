/** A {@link WorkflowStore} in SQLite. */
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
import type { Connection } from "./connection.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { Neighbours } from "./neighbours.ts";

const BY_KEY = "SELECT id, digest FROM workflow_runs WHERE idempotency_key = :key";
const INSERT = `
  INSERT INTO workflow_runs (id, workflow, state, length, asking, idempotency_key, digest, created_ms, updated_ms)
  VALUES (:id, :workflow, 'running', 1, 0, :key, :digest, :nowMs, :nowMs)`;
const INSERT_EVENT = "INSERT INTO workflow_events (run, n, event, crc) VALUES (?1, ?2, ?3, ?4)";
const FOR_APPEND = "SELECT seq, length, instance FROM workflow_runs WHERE id = :id";
// A run that has ended is nobody's, so that a retry finds it free.
const UPDATE = `
  UPDATE workflow_runs
     SET state = :state, asking = :asking, length = :length, updated_ms = :nowMs,
         conductor = iif(:state = 'running', conductor, NULL), instance = iif(:state = 'running', instance, NULL),
         until_ms = iif(:state = 'running', until_ms, NULL)
   WHERE seq = :seq`;
const EVENTS = `
  SELECT e.run, e.n, e.event, e.crc FROM workflow_runs r JOIN workflow_events e ON e.run = r.seq
   WHERE r.id = :id AND e.n > :after ORDER BY e.n LIMIT :limit`;
const GET = `SELECT ${RUN_COLUMNS} FROM workflow_runs WHERE id = :id`;
const LIST = `
  SELECT ${RUN_COLUMNS} FROM workflow_runs
   WHERE seq < :before AND (:state IS NULL OR state = :state) AND (:workflow IS NULL OR workflow = :workflow)
     AND (:asking IS NULL OR (asking > 0) = :asking)
   ORDER BY seq DESC LIMIT :limit`;
// One statement, so that of two processes only one gets a run. `state = 'running'` is word for word that of the index.
const ANY_FREE = `
  SELECT count(*) AS n FROM (
    SELECT 1 FROM workflow_runs WHERE state = 'running' AND instance IS NOT :instance
       AND (instance IS NULL OR conductor = :name OR until_ms <= :nowMs) LIMIT 1)`;
const TAKE = `
  UPDATE workflow_runs SET conductor = :name, instance = :instance, until_ms = :untilMs
   WHERE seq IN (SELECT seq FROM workflow_runs
                  WHERE state = 'running' AND instance IS NOT :instance
                    AND (instance IS NULL OR conductor = :name OR until_ms <= :nowMs)
                  ORDER BY seq LIMIT :limit)
  RETURNING seq, id`;
const NEXT_FREE = `
  SELECT min(coalesce(until_ms, 0)) AS until_ms FROM workflow_runs WHERE state = 'running' AND instance IS NOT :instance`;
const RENEW = `
  UPDATE workflow_runs SET until_ms = :untilMs WHERE state = 'running' AND instance = :instance RETURNING seq, id`;
const SURVEY =
  "SELECT id AS runId, length FROM workflow_runs WHERE state = 'running' AND instance = :instance";
const RELEASE = `
  UPDATE workflow_runs SET conductor = NULL, instance = NULL, until_ms = NULL
   WHERE state = 'running' AND instance = :instance`;
const OLD = `
  SELECT seq FROM workflow_runs WHERE state <> 'running' AND updated_ms < :beforeMs ORDER BY updated_ms LIMIT :limit`;
const DELETE_EVENTS = "DELETE FROM workflow_events WHERE run = :seq";
const DELETE_RUN = "DELETE FROM workflow_runs WHERE seq = :seq";

const keyRow = z.object({ id: z.string(), digest: z.string() });
const appendRow = z.object({ seq: z.int(), length: z.int(), instance: z.string().nullable() });
const idRow = z.object({ seq: z.int(), id: z.string() });
const countRow = z.object({ n: z.int() });
const seqRow = z.object({ seq: z.int() });
const surveyRow = z.object({ runId: z.string(), length: z.int() });
const freeRow = z.object({ until_ms: z.number().nullable() });

/** The runs of a node. */
export class SqliteWorkflowStore implements WorkflowStore {
  readonly #connection: Connection;
  readonly #commits: GroupCommit;
  readonly #lifetime: Lifetime;
  readonly #neighbours: Neighbours;

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime, neighbours: Neighbours) {
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
    this.#neighbours = neighbours;
  }

  async create(
    { id, workflow, idempotencyKey: key, digest }: NewRun,
    first: RunEvent,
    nowMs: number,
  ): Promise<{ readonly runId: string; readonly created: boolean }> {
    const text = JSON.stringify(first);
    return this.#write(() => {
      const row = key === undefined ? undefined : this.#connection.get(BY_KEY, { key });
      if (row && key !== undefined) {
        const known = parsed(keyRow, row);
        if (known.digest !== digest) throw new IdempotencyConflictError(key, known.id);
        return { runId: known.id, created: false };
      }
      const values = { id, workflow, key: key ?? null, digest, nowMs };
      const seq = this.#connection.insert(INSERT, values) ?? 0;
      this.#connection.run(INSERT_EVENT, [seq, 1, text, eventChecksum(seq, 1, text)]);
      return { runId: id, created: true };
    });
  }

  async append(
    runId: string,
    events: readonly RunEvent[],
    { state, asking }: RunChange,
    nowMs: number,
    instance?: string,
  ): Promise<void> {
    const texts = events.map((event) => ({ n: event.seq, text: JSON.stringify(event) }));
    const after = (events[0]?.seq ?? 1) - 1;
    await this.#write(() => {
      const row = this.#connection.get(FOR_APPEND, { id: runId });
      if (!row) throw new RunNotFoundError(runId);
      const { seq, length, instance: conducting } = parsed(appendRow, row);
      if (instance !== undefined && conducting !== instance) throw new ConductorLostError(runId);
      if (length !== after) throw new RunConflictError(runId, after);
      for (const { n, text } of texts)
        this.#connection.run(INSERT_EVENT, [seq, n, text, eventChecksum(seq, n, text)]);
      this.#connection.run(UPDATE, { seq, state, asking, length: after + events.length, nowMs });
    });
  }

  async events(runId: string, after: number, limit: number): Promise<readonly RunEvent[]> {
    this.#lifetime.check();
    return this.#connection.all(EVENTS, { id: runId, after, limit }).map(eventOfRow);
  }

  async get(runId: string): Promise<RunRow | undefined> {
    this.#lifetime.check();
    const row = this.#connection.get(GET, { id: runId });
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
    const rows = this.#connection.all(LIST, {
      before: runsBefore(cursor),
      state: state ?? null,
      workflow: workflow ?? null,
      asking: asking === undefined ? null : Number(asking),
      limit: limit + 1,
    });
    return runPage(rows.map(runRow), limit);
  }

  async take(
    { name, instance }: ConductorName,
    untilMs: number,
    limit: number,
    nowMs: number,
  ): Promise<Taken> {
    this.#lifetime.check();
    // Looked at first: a write tells all other processes to look, and these would write and tell in their turn.
    if (parsed(countRow, this.#connection.get(ANY_FREE, { name, instance, nowMs })).n === 0)
      return this.#untaken([], instance);
    return this.#write(() => {
      const rows = this.#connection.all(TAKE, { name, instance, untilMs, limit, nowMs });
      const taken = rows.map((row) => parsed(idRow, row)).toSorted((a, b) => a.seq - b.seq);
      return this.#untaken(
        taken.map(({ id }) => id),
        instance,
      );
    });
  }

  #untaken(runIds: readonly string[], instance: string): Taken {
    const { until_ms: nextFreeMs } = parsed(freeRow, this.#connection.get(NEXT_FREE, { instance }));
    return nextFreeMs === null ? { runIds } : { runIds, nextFreeMs };
  }

  async renew(instance: string, untilMs: number): Promise<readonly string[]> {
    return this.#write(() =>
      this.#connection.all(RENEW, { instance, untilMs }).map((row) => parsed(idRow, row).id),
    );
  }

  async release(instance: string): Promise<void> {
    await this.#write(() => this.#connection.run(RELEASE, { instance }));
  }

  async survey(instance: string): Promise<readonly { readonly runId: string; readonly length: number }[]> {
    this.#lifetime.check();
    return this.#connection.all(SURVEY, { instance }).map((row) => parsed(surveyRow, row));
  }

  onForeignChange(listener: () => void): () => void {
    return this.#neighbours.onChange(listener);
  }

  async prune(beforeMs: number, limit: number): Promise<number> {
    return this.#write(() => {
      const old = this.#connection.all(OLD, { beforeMs, limit }).map((row) => parsed(seqRow, row));
      for (const { seq } of old) {
        this.#connection.run(DELETE_EVENTS, { seq });
        this.#connection.run(DELETE_RUN, { seq });
      }
      return old.length;
    });
  }

  async #write<T>(operation: () => T): Promise<T> {
    this.#lifetime.check();
    return this.#commits.write(operation);
  }
}
