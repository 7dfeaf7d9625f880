/** `/ipfs-datasets/task-queue/1.0.0`: a client there, a node here. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type NodeProcess, startNode, temporaryFolder } from "../../support/node-process.ts";
import { mcpp } from "../cli.ts";
import type { ForeignPeer } from "../foreign-peer.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { answer, connected, submitted, taskAnswer } from "../schemas.ts";

/** Less than the 1 MiB that both sides of the old protocol read, but many windows and chunks. */
const LARGE_BYTES = 900_000;

/** Runs `body` with a peer that is connected to a node. */
async function withNode(
  foreign: Foreign,
  args: (folder: string) => readonly string[] | Promise<readonly string[]>,
  body: (there: ForeignPeer, node: NodeProcess, folder: string) => Promise<void>,
): Promise<void> {
  using folder = temporaryFolder();
  await using there = await foreign.start();
  const node = await startNode(folder.path, await args(folder.path));
  try {
    await there.run("connect", { to: node.multiaddrs[0] }, connected);
    await body(there, node, folder.path);
  } finally {
    await node.stop();
  }
}

export function lines(foreign: Foreign): void {
  describe("newline JSON, client there", () => {
    it("a task that is submitted there is claimed and completed by the worker here", LIMIT, () =>
      withNode(
        foreign,
        () => [],
        async (there, { peer_id }) => {
          const ask = (request: object): Promise<unknown> => there.run("ask", { peer_id, request }, answer);
          const payload = { from: foreign.name, word: "é\u0000\u{1F40D}" };

          const task = { op: "submit", task_type: "echo", model_name: "", payload };
          const { task_id } = submitted.parse(await ask(task));
          const waited = taskAnswer.parse(await ask({ op: "wait", task_id, timeout_s: 20 }));
          const read = taskAnswer.parse(await ask({ op: "get", task_id }));

          assert.equal(waited.task.status, "completed");
          assert.deepEqual(read.task.payload, payload);
          assert.deepEqual(read.task.result, waited.task.result);
        },
      ),
    );

    it("a task that is submitted here is claimed and completed there", LIMIT, () =>
      withNode(
        foreign,
        () => ["--workers", "0"],
        async (there, { peer_id }, folder) => {
          const ask = (request: object): Promise<unknown> => there.run("ask", { peer_id, request }, answer);
          const { answer: receipt } = await mcpp(folder, "submit", "theirs", '{"n":1}');
          const { task_id } = submitted.parse(receipt);
          const waiting = mcpp(folder, "wait", task_id, "--timeout", "20s");

          const claim = {
            op: "claim",
            worker_id: "w",
            supported_task_types: ["theirs"],
            peer_id: "p",
            clock: null,
          };
          const claimed = taskAnswer.parse(await ask(claim));
          const done = { op: "complete", task_id, status: "completed", result: { text: "done there" } };
          const completed = submitted.parse(await ask(done));

          assert.equal(claimed.task.task_id, task_id);
          assert.equal(completed.task_id, task_id);
          const { code, answer: ended } = await waiting;
          assert.equal(code, 0);
          const { task } = taskAnswer.parse(ended);
          assert.equal(task.status, "completed");
          assert.deepEqual(task.result, { text: "done there" });
        },
      ),
    );

    it("a payload of many windows arrives whole, both ways", LIMIT, () =>
      withNode(
        foreign,
        () => ["--workers", "0"],
        async (there, { peer_id }) => {
          const ask = (request: object): Promise<unknown> => there.run("ask", { peer_id, request }, answer);
          const text = randomBytes(LARGE_BYTES / 2).toString("hex");
          const task = { op: "submit", task_type: "large", model_name: "", payload: { text } };

          const { task_id } = submitted.parse(await ask(task));
          const read = taskAnswer.parse(await ask({ op: "get", task_id }));

          assert.equal(read.task.payload["text"], text);
        },
      ),
    );

    it("values, a heartbeat, the status and an unknown operation are answered", LIMIT, () =>
      withNode(
        foreign,
        () => ["--workers", "0"],
        async (there, { peer_id }) => {
          const ask = (request: object): Promise<Record<string, unknown>> =>
            there.run("ask", { peer_id, request }, answer);

          await ask({ op: "cache.set", key: "k", value: { v: [1, null] }, ttl_s: 60 });
          const got = await ask({ op: "cache.get", key: "k" });
          const beat = await ask({ op: "peer.heartbeat", peer_id: "p", clock: null });
          const status = await ask({ op: "status", detail: true });
          const unknown = await ask({ op: "no-such-operation" });

          assert.deepEqual([got["hit"], got["value"]], [true, { v: [1, null] }]);
          assert.deepEqual([beat["ok"], beat["peer"]], [true, "p"]);
          assert.deepEqual([status["ok"], status["peer_id"]], [true, peer_id]);
          assert.deepEqual([unknown["ok"], unknown["error"]], [false, "unknown_op"]);
        },
      ),
    );

    it("with a token at the node, the right one is let in and a wrong one is not", LIMIT, () => {
      const token = randomBytes(32).toString("hex");
      const args = async (folder: string): Promise<string[]> => {
        const file = join(folder, "token");
        await writeFile(file, token, { mode: 0o600 });
        return ["--token-file", file];
      };
      return withNode(foreign, args, async (there, { peer_id }) => {
        const ask = (request: object): Promise<Record<string, unknown>> =>
          there.run("ask", { peer_id, request }, answer);
        const task = { op: "submit", task_type: "echo", model_name: "", payload: {} };

        const wrong = await ask({ ...task, token: "x".repeat(64) });
        const { task_id } = submitted.parse(await ask({ ...task, token }));
        const waited = await ask({ op: "wait", task_id, timeout_s: 20, token });

        assert.deepEqual([wrong["ok"], wrong["error"]], [false, "unauthorized"]);
        assert.equal(taskAnswer.parse(waited).task.status, "completed");
      });
    });
  });
}
