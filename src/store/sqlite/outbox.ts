/** An {@link OutboxStore} in SQLite. */
import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import type { Logger } from "../../logger.ts";
import type { Lease } from "../../task/queue.ts";
import type { OutboxEntry, OutboxKey, OutboxStore } from "../../task/outbox.ts";
import { taskErrorSchema } from "../../task/task.ts";
import type { Lifetime } from "../stores.ts";
import { isDamagedEntry, outboxChecksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";
import type { GroupCommit } from "./group-commit.ts";
import { jsonOf, parsed } from "../rows.ts";

const REPLACE = `
  INSERT OR REPLACE INTO outbox (queue, task_id, token, outcome, created_ms, crc)
  VALUES (:queue, :taskId, :token, :outcome, :createdAtMs, :crc)`;

const QUEUES = "SELECT DISTINCT queue FROM outbox";

// Along the index, which has `created_ms`: in the row it stands behind the outcome, so that reading it there means
// to read megabytes; the other columns stand before it.
const KEYS = `
  SELECT task_id, token, created_ms FROM outbox INDEXED BY outbox_by_age
   WHERE queue = :queue ORDER BY created_ms, n LIMIT :limit`;

const GET = `
  SELECT n, queue, task_id, token, outcome, created_ms, crc FROM outbox
   WHERE queue = :queue AND task_id = :taskId AND token = :token`;

// With the token, so that the delivery of an earlier lease does not take a later one's entry away.
const REMOVE = "DELETE FROM outbox WHERE queue = :queue AND task_id = :taskId AND token = :token";

const REMOVE_DAMAGED = "DELETE FROM outbox WHERE n = :n AND crc = :crc";

const queueRow = z.object({ queue: z.string() });
const keyRow = z.object({ task_id: z.string(), token: z.int(), created_ms: z.number() });
const entryRow = z.object({ outcome: z.string(), created_ms: z.number() });
const damagedRow = z.object({ n: z.int(), crc: z.int() });

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

/** The outbox of a worker, which outlives its process. */
export class SqliteOutboxStore implements OutboxStore {
  readonly #connection: Connection;
  readonly #commits: GroupCommit;
  readonly #lifetime: Lifetime;

  readonly #logger: Logger;

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime, logger: Logger) {
    this.#logger = logger;
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
  }

  async put({ queue, lease, outcome, createdAtMs }: OutboxEntry): Promise<void> {
    this.#lifetime.check();
    const { taskId, token } = lease;
    const text = JSON.stringify(outcome);
    const crc = outboxChecksum(queue, taskId, token, text);
    const values = { queue, taskId, token, outcome: text, createdAtMs, crc };
    await this.#commits.write(() => this.#connection.run(REPLACE, values));
  }

  async queues(): Promise<readonly string[]> {
    this.#lifetime.check();
    return this.#connection.all(QUEUES, {}).map((row) => parsed(queueRow, row).queue);
  }

  async keys(queue: string, limit: number): Promise<readonly OutboxKey[]> {
    this.#lifetime.check();
    return this.#connection.all(KEYS, { queue, limit }).map((row) => {
      const { task_id: taskId, token, created_ms: createdAtMs } = parsed(keyRow, row);
      return { queue, lease: { taskId, token }, createdAtMs };
    });
  }

  /** An entry that is damaged is dropped with a word in the log: its task is given out again when its lease ends. */
  async get(queue: string, { taskId, token }: Lease): Promise<OutboxEntry | undefined> {
    this.#lifetime.check();
    const row = this.#connection.get(GET, { queue, taskId, token });
    if (!row) return undefined;
    if (isDamagedEntry(row)) {
      this.#logger.error(
        { queue, taskId },
        "a result that waited for its delivery is damaged on disk; dropped",
      );
      const { n, crc } = parsed(damagedRow, row);
      await this.#commits.write(() => this.#connection.run(REMOVE_DAMAGED, { n, crc }));
      return undefined;
    }
    const { outcome, created_ms: createdAtMs } = parsed(entryRow, row);
    return { queue, lease: { taskId, token }, outcome: parsed(outcomeSchema, jsonOf(outcome)), createdAtMs };
  }

  async remove(queue: string, { taskId, token }: Lease): Promise<void> {
    this.#lifetime.check();
    await this.#commits.write(() => this.#connection.run(REMOVE, { queue, taskId, token }));
  }
}
