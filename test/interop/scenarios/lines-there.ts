/** `/ipfs-datasets/task-queue/1.0.0`: a server there that speaks nothing else, the command line and a worker here. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod";
import { startNode, temporaryFolder } from "../../support/node-process.ts";
import { mcpp } from "../cli.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { seen, submitted, taskAnswer } from "../schemas.ts";

const called = z.object({ structured_content: z.unknown() });
const leased = z.object({ task: z.object({ lease_token: z.int() }) });
const refused = z.object({ ok: z.literal(false), error_code: z.string() });

export function linesThere(foreign: Foreign): void {
  describe("newline JSON, server there", () => {
    it(
      "the command line submits to it, a worker works for it, the command line has the result",
      LIMIT,
      async () => {
        using folder = temporaryFolder();
        using other = temporaryFolder();
        await using there = await foreign.start({ serve: "line" });
        const node = await startNode(folder.path, ["--workers", "0"]);
        const worker = await startNode(other.path, ["--work-for", there.address], "worker");
        try {
          const payload = { to: foreign.name };
          const peer = ["--peer", there.address];

          const { answer } = await mcpp(folder.path, "submit", "echo", JSON.stringify(payload), ...peer);
          const { task_id } = submitted.parse(answer);
          const { code, answer: ended } = await mcpp(
            folder.path,
            "wait",
            task_id,
            ...peer,
            "--timeout",
            "15s",
          );

          assert.equal(code, 0);
          assert.equal(taskAnswer.parse(ended).task.status, "completed");
          const { requests } = await there.run("seen", {}, seen);
          const claims = requests.filter((request) => request["op"] === "claim");
          assert.ok(claims.some((request) => request["peer_id"] === worker.peer_id));
          const completed = requests.filter((request) => request["op"] === "complete");
          assert.deepEqual(
            completed.map((request) => [request["task_id"], request["status"]]),
            [[task_id, "completed"]],
          );
        } finally {
          await worker.stop();
          await node.stop();
        }
      },
    );

    it("tools of a node pass calls on to it", LIMIT, async () => {
      using folder = temporaryFolder();
      await using there = await foreign.start({ serve: "line" });
      const node = await startNode(folder.path, ["--workers", "0"]);
      try {
        const call = async (tool: string, args: object): Promise<unknown> => {
          const given = JSON.stringify({ ...args, remote_multiaddr: there.address });
          const { code, answer } = await mcpp(folder.path, "call", tool, given);
          assert.equal(code, 0, JSON.stringify(answer));
          return called.parse(answer).structured_content;
        };
        const task = { task_type: "theirs", model_name: "m", payload: { n: 1 } };

        const { task_id } = submitted.parse(await call("p2p_taskqueue_submit", task));
        const worker = { worker_id: "w", supported_task_types: ["theirs"] };
        const answered = await call("p2p_taskqueue_claim_next", worker);
        const claimed = taskAnswer.parse(answered);
        const { lease_token } = leased.parse(answered).task;
        await call("p2p_taskqueue_complete_task", { task_id, lease_token, result: { by: "a tool" } });
        const read = taskAnswer.parse(await call("p2p_taskqueue_get_task", { task_id }));

        assert.equal(claimed.task.task_id, task_id);
        assert.deepEqual([read.task.status, read.task.result], ["completed", { by: "a tool" }]);
      } finally {
        await node.stop();
      }
    });

    it("its token is shown where that is allowed, and never otherwise", LIMIT, async () => {
      using folder = temporaryFolder();
      using other = temporaryFolder();
      const token = randomBytes(32).toString("hex");
      const file = join(folder.path, "token");
      await writeFile(file, token, { mode: 0o600 });
      await using there = await foreign.start({ serve: "line", token });
      const args = ["--workers", "0", "--token-file", file];
      const silent = await startNode(other.path, args);
      const open = await startNode(folder.path, [...args, "--send-token-to-old-peers"]);
      try {
        const submit = ["submit", "echo", "{}", "--peer", there.address, "--token-file", file];

        const unsent = await mcpp(other.path, ...submit);
        const before = await there.run("seen", {}, seen);
        const sent = await mcpp(folder.path, ...submit);

        assert.equal(refused.parse(unsent.answer).error_code, "E_DENIED");
        assert.ok(before.requests.every((request) => !("token" in request)));
        submitted.parse(sent.answer);
      } finally {
        await open.stop();
        await silent.stop();
      }
    });
  });
}
