/** An {@link OutboxStore} in SQLite. */
import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import type { Lease } from "../../task/queue.ts";
import type { OutboxEntry, OutboxStore } from "../../task/outbox.ts";
import { taskErrorSchema } from "../../task/task.ts";
import type { Lifetime } from "../stores.ts";
import type { Connection, Row } from "./connection.ts";
import type { GroupCommit } from "./group-commit.ts";
import { jsonOf, parsed } from "./rows.ts";

const REPLACE = `
  INSERT OR REPLACE INTO outbox (queue, task_id, token, outcome, created_ms)
  VALUES (:queue, :taskId, :token, :outcome, :createdAtMs)`;

const LIST =
  "SELECT queue, task_id, token, outcome, created_ms FROM outbox ORDER BY created_ms, n LIMIT :limit";

// With the token, so that the delivery of an earlier lease does not take a later one's entry away.
const REMOVE = "DELETE FROM outbox WHERE queue = :queue AND task_id = :taskId AND token = :token";

const entryRow = z.object({
  queue: z.string(),
  task_id: z.string(),
  token: z.int(),
  outcome: z.string(),
  created_ms: z.number(),
});

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

  constructor(connection: Connection, commits: GroupCommit, lifetime: Lifetime) {
    this.#connection = connection;
    this.#commits = commits;
    this.#lifetime = lifetime;
  }

  async put({ queue, lease, outcome, createdAtMs }: OutboxEntry): Promise<void> {
    this.#lifetime.check();
    const { taskId, token } = lease;
    const values = { queue, taskId, token, outcome: JSON.stringify(outcome), createdAtMs };
    await this.#commits.write(() => this.#connection.run(REPLACE, values));
  }

  async list(limit: number): Promise<readonly OutboxEntry[]> {
    this.#lifetime.check();
    return this.#connection.all(LIST, { limit }).map(entryOf);
  }

  async remove(queue: string, { taskId, token }: Lease): Promise<void> {
    this.#lifetime.check();
    await this.#commits.write(() => this.#connection.run(REMOVE, { queue, taskId, token }));
  }
}

function entryOf(row: Row): OutboxEntry {
  const { queue, task_id, token, outcome, created_ms } = parsed(entryRow, row);
  const lease = { taskId: task_id, token };
  return { queue, lease, outcome: parsed(outcomeSchema, jsonOf(outcome)), createdAtMs: created_ms };
}
