/** `/mcp+p2p/1.0.0` that begins with initialize: a server there with the limits of the Python service, a client here. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { remoteQueue } from "../../../src/task/remote.ts";
import { withHosts } from "../../p2p/hosts.ts";
import { startNode, temporaryFolder } from "../../support/node-process.ts";
import { mcpp } from "../cli.ts";
import { LIMIT } from "../limits.ts";
import type { Foreign } from "../prepare.ts";
import { seen, submitted, taskAnswer } from "../schemas.ts";

/** Of the Python service: frames of a stream, and bytes of a frame. */
const MAX_FRAMES = 128;
const MAX_FRAME_BYTES = 1024 * 1024;
const CALLS = 300;

const of = (bytes: number): string => randomBytes(bytes / 2).toString("hex");

export function framesThere(foreign: Foreign): void {
  describe("frames, server there", () => {
    it(
      "the command line submits to it, a worker works for it, the command line has the result",
      LIMIT,
      async () => {
        using folder = temporaryFolder();
        using other = temporaryFolder();
        await using there = await foreign.start({ serve: "session" });
        const node = await startNode(folder.path, ["--workers", "0"]);
        const worker = await startNode(other.path, ["--work-for", there.address], "worker");
        try {
          const peer = ["--peer", there.address];

          const { answer } = await mcpp(folder.path, "submit", "echo", '{"n":1}', ...peer);
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
        } finally {
          await worker.stop();
          await node.stop();
        }
      },
    );

    it("300 calls keep to its limit of frames, and each is made once", LIMIT, () =>
      withHosts(async (open) => {
        await using there = await foreign.start({ serve: "session" });
        const queue = remoteQueue((await open()).rpc, { multiaddr: there.address });

        for (let n = 0; n < CALLS; n++) await queue.submit([{ type: "t", payload: { n } }]);

        const { requests, frames_of_streams } = await there.run("seen", {}, seen);
        assert.deepEqual(
          requests.map((request) => request["payload"]),
          Array.from({ length: CALLS }, (_, n) => ({ n })),
        );
        assert.ok(
          frames_of_streams.every((count) => count < MAX_FRAMES),
          frames_of_streams.join(" "),
        );
      }),
    );

    it("many calls at once are each made once", LIMIT, () =>
      withHosts(async (open) => {
        await using there = await foreign.start({ serve: "session" });
        const queue = remoteQueue((await open()).rpc, { multiaddr: there.address });

        const calls = Array.from({ length: 100 }, (_, n) => queue.submit([{ type: "t", payload: { n } }]));
        const ids = (await Promise.all(calls)).map(([receipt]) => receipt?.taskId);

        const { requests } = await there.run("seen", {}, seen);
        assert.deepEqual([new Set(ids).size, requests.length], [100, 100]);
      }),
    );

    it("a request of just 1 MiB arrives, and a larger one is refused here and not sent", LIMIT, () =>
      withHosts(async (open) => {
        await using there = await foreign.start({ serve: "session" });
        const queue = remoteQueue((await open()).rpc, { multiaddr: there.address });
        await queue.submit([{ type: "t", payload: { n: 0 } }]);

        const text = of(MAX_FRAME_BYTES - 1000);
        const [receipt] = await queue.submit([{ type: "t", payload: { text } }]);
        const read = await queue.get(receipt?.taskId ?? "");
        const larger = queue.submit([{ type: "t", payload: { text: of(MAX_FRAME_BYTES) } }]);

        await assert.rejects(larger, { code: "E_MESSAGE_TOO_LARGE" });
        assert.deepEqual(read?.payload, { text });
        const { requests } = await there.run("seen", {}, seen);
        assert.equal(requests.filter((request) => request["op"] === "submit").length, 2);
      }),
    );
  });
}
