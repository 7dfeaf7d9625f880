/**
 * An {@link OutboxStore} in PostgreSQL.
 *
 * Each node has an outbox of its own in the shared database: a result can be delivered only by the node that holds the
 * lease. Every statement may be repeated, so a lost connection needs no more than that.
 */
import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import type { Logger } from "../../logger.ts";
import type { OutboxEntry, OutboxKey, OutboxStore } from "../../task/outbox.ts";
import type { Lease } from "../../task/queue.ts";
import { taskErrorSchema } from "../../task/task.ts";
import { outboxChecksum } from "../checksum.ts";
import { jsonOf, parsed } from "../rows.ts";
import type { Lifetime } from "../stores.ts";
import type { Database } from "./database.ts";

const REPLACE = `
  INSERT INTO outbox (owner, queue, task_id, n, token, outcome, created_ms, crc)
  VALUES ($1, $2, $3, nextval('outbox_numbers'), $4, $5, $6, $7)
  ON CONFLICT (owner, queue, task_id) DO UPDATE SET
    n = excluded.n, token = excluded.token, outcome = excluded.outcome, created_ms = excluded.created_ms,
    crc = excluded.crc`;
const QUEUES = "SELECT DISTINCT queue FROM outbox WHERE owner = $1";
const KEYS = `
  SELECT task_id, token, created_ms FROM outbox WHERE owner = $1 AND queue = $2 ORDER BY created_ms, n LIMIT $3`;
const WHICH = "owner = $1 AND queue = $2 AND task_id = $3 AND token = $4";
const GET = `SELECT outcome, created_ms, crc FROM outbox WHERE ${WHICH}`;
// With the token, so that the delivery of an earlier lease does not take a later one's entry away.
const REMOVE = `DELETE FROM outbox WHERE ${WHICH}`;

const queueRow = z.object({ queue: z.string() });
const keyRow = z.object({ task_id: z.string(), token: z.int(), created_ms: z.number() });
const entryRow = z.object({ outcome: z.string(), created_ms: z.number(), crc: z.int().nullable() });

const outcomeSchema: z.ZodType<OutboxEntry["outcome"]> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("completed"), result: jsonObject }),
  z.object({
    kind: z.literal("failed"),
    failure: z.object({
      error: taskErrorSchema,
      retry: z.boolean().optional(),
      retryAfterMs: z.number().optional(),
      result: jsonObject.optional(),
    }),
  }),
]);

/** What the store works with. */
export interface PostgresOutboxParts {
  readonly database: Database;
  readonly lifetime: Lifetime;
  readonly logger: Logger;
  /** The node that it is the outbox of. */
  readonly owner: string;
}

/** The outbox of one node's workers. */
export class PostgresOutboxStore implements OutboxStore {
  readonly #database: Database;
  readonly #lifetime: Lifetime;
  readonly #logger: Logger;
  readonly #owner: string;

  constructor({ database, lifetime, logger, owner }: PostgresOutboxParts) {
    this.#database = database;
    this.#lifetime = lifetime;
    this.#logger = logger;
    this.#owner = owner;
  }

  async put({ queue, lease, outcome, createdAtMs }: OutboxEntry): Promise<void> {
    this.#lifetime.check();
    const { taskId, token } = lease;
    const text = JSON.stringify(outcome);
    const crc = outboxChecksum(queue, taskId, token, text);
    await this.#database.query(REPLACE, [this.#owner, queue, taskId, token, text, createdAtMs, crc]);
  }

  async queues(): Promise<readonly string[]> {
    this.#lifetime.check();
    const rows = await this.#database.query(QUEUES, [this.#owner]);
    return rows.map((row) => parsed(queueRow, row).queue);
  }

  async keys(queue: string, limit: number): Promise<readonly OutboxKey[]> {
    this.#lifetime.check();
    const rows = await this.#database.query(KEYS, [this.#owner, queue, limit]);
    return rows.map((row) => {
      const { task_id: taskId, token, created_ms: createdAtMs } = parsed(keyRow, row);
      return { queue, lease: { taskId, token }, createdAtMs };
    });
  }

  /** An entry that is damaged is dropped with a word in the log: its task is given out again when its lease ends. */
  async get(queue: string, { taskId, token }: Lease): Promise<OutboxEntry | undefined> {
    this.#lifetime.check();
    const [row] = await this.#database.query(GET, [this.#owner, queue, taskId, token]);
    if (!row) return undefined;
    const { outcome, created_ms: createdAtMs, crc } = parsed(entryRow, row);
    if (crc !== null && crc !== outboxChecksum(queue, taskId, token, outcome)) {
      this.#logger.error({ queue, taskId }, "a result that waited for its delivery is damaged; dropped");
      await this.#database.query(REMOVE, [this.#owner, queue, taskId, token]);
      return undefined;
    }
    return { queue, lease: { taskId, token }, outcome: parsed(outcomeSchema, jsonOf(outcome)), createdAtMs };
  }

  async remove(queue: string, { taskId, token }: Lease): Promise<void> {
    this.#lifetime.check();
    await this.#database.query(REMOVE, [this.#owner, queue, taskId, token]);
  }
}
