/** Several processes on one database file. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { temporaryFolder } from "../support/node-process.ts";

const PROCESS = join(import.meta.dirname, "../support/queue-process.ts");
const answerSchema = z.object({ value: z.unknown().optional(), error: z.string().optional() });
const idsSchema = z.array(z.string());

async function ask(child: ChildProcess, order: object): Promise<unknown> {
  const answer = once(child, "message");
  child.send(order);
  const { value, error } = answerSchema.parse((await answer)[0]);
  assert.equal(error, undefined);
  return value;
}

describe("a database that several processes have open", { timeout: 120_000 }, () => {
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        const exit = once(child, "exit");
        child.kill("SIGKILL");
        await exit;
      }
    }
  });

  const start = async (path: string): Promise<ChildProcess> => {
    const child = fork(PROCESS, [path]);
    children.push(child);
    await once(child, "message");
    return child;
  };
  it("tells a wait in one process of the completion in another, without polling", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const [one, other] = [await start(path), await start(path)];
    const [taskId] = idsSchema.parse(await ask(one, { do: "submit", count: 1 }));
    const waiting = ask(one, { do: "wait", taskId });
    assert.deepEqual(await ask(other, { do: "work", workerId: "w", count: 1 }), [taskId]);
    const completedAt = performance.now();
    assert.equal(await waiting, true);
    assert.ok(performance.now() - completedAt < 5000, "only the half-minute look can have told it");
  });

  it("gives a task that one process submits to a claim that waits in another", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const [one, other] = [await start(path), await start(path)];
    const working = ask(other, { do: "work", workerId: "w", count: 3 });
    const ids = idsSchema.parse(await ask(one, { do: "submit", count: 3 }));
    assert.deepEqual(idsSchema.parse(await working).toSorted(), ids.toSorted());
  });

  it("lets four processes submit, claim and complete at once: each task once, and none of them starves", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const all = [await start(path), await start(path), await start(path), await start(path)];
    const results = await Promise.all(
      all.map(async (child, i) =>
        idsSchema.parse(await ask(child, { do: "cycles", workerId: `w${i}`, count: 50 })),
      ),
    );
    const done = results.flat();
    assert.equal(new Set(done).size, 200);
    assert.deepEqual(
      results.map((ids) => ids.length),
      [50, 50, 50, 50],
    );
  });

  it("goes on while another connection reads a long list and makes a backup", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const child = await start(path);
    await ask(child, { do: "submit", count: 200 });
    const reader = new DatabaseSync(path, { readOnly: true });
    try {
      reader.exec(`VACUUM INTO '${join(folder.path, "backup.db")}'`);
      reader.exec("BEGIN");
      const before = reader.prepare("SELECT count(*) AS n FROM tasks").get();
      await ask(child, { do: "cycles", workerId: "w", count: 20 });
      assert.deepEqual(
        reader.prepare("SELECT count(*) AS n FROM tasks").get(),
        before,
        "a reader sees one moment",
      );
      reader.exec("COMMIT");
    } finally {
      reader.close();
    }
  });

  it("survives the kill of a process in the middle of its writes", async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "queue.db");
    const [one, other] = [await start(path), await start(path)];
    one.send({ do: "submit", count: 100_000 });
    await ask(other, { do: "cycles", workerId: "w", count: 5 });
    one.kill("SIGKILL");
    await once(one, "exit");
    assert.equal(idsSchema.parse(await ask(other, { do: "cycles", workerId: "w", count: 5 })).length, 5);
  });
});
