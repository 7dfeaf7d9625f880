import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { createNode, loadConfig } from "../../src/index.ts";
import { OLD_WIRE_HOLDER, OLD_WIRE_LEASE_MS } from "../../src/p2p/protocols/task-queue/operation.ts";
import { REQUEST_MS, STRANGER_LINE_BYTES } from "../../src/p2p/protocols/task-queue/stream.ts";
import { TestClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/node-process.ts";
import { until, withHosts } from "./hosts.ts";
import { type OldServer, oldPeer, oldServer } from "./old-peer.ts";

const LIMIT = { timeout: 60_000 };
const TOKEN = "a-secret-of-at-least-thirty-two-characters";
const STATUS = '{"op":"status"}\n';

function errorIn(text: string): unknown {
  const answer: unknown = JSON.parse(text);
  return isJsonObject(answer) ? answer["error"] : undefined;
}

function taskOf(answer: JsonObject): JsonObject {
  const { task } = answer;
  assert.ok(isJsonObject(task), JSON.stringify(answer));
  return task;
}

async function submitted({ queue }: OldServer, payload: JsonObject = {}): Promise<string> {
  const [receipt] = await queue.queue.submit([{ type: "t", payload }]);
  return receipt?.taskId ?? "";
}

describe("a line on the old wire", LIMIT, () => {
  it("may come byte by byte, and need not end if the stream does", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery);
      await using peer = await oldPeer();

      const slow = await peer.send(address, STATUS.split(""));
      const halfClosed = await peer.send(address, [STATUS.trimEnd()], true);

      assert.equal(errorIn(slow), undefined);
      assert.equal(errorIn(halfClosed), undefined);
    }));

  it("that is no JSON, no UTF-8, no object or not alone is refused in words", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const lines: readonly (readonly [string | Uint8Array, string])[] = [
        ["{\n", "invalid_json"],
        [Uint8Array.of(0x22, 0xff, 0x22, 0x0a), "invalid_json"],
        [`${"[".repeat(100_000)}\n`, "invalid_json"],
        [`${"9".repeat(5000)}\n`, "invalid_json"],
        ["12345678901234567890\n", "invalid_message"],
        ["[]\n", "invalid_message"],
        [STATUS + STATUS, "invalid_json"],
        ['{"op":{"$integer":"1"}}\n', "internal_error"],
        ['{"op":"claim","worker_id":"w","task_types":{"a":1},"clock":{"vector":[]}}\n', "undefined"],
        [`{"op":"submit","task_type":"${"t".repeat(1000)}"}\n`, "invalid_input"],
        [`{"op":"heartbeat","peer":"${"p".repeat(1000)}"}\n`, "invalid_input"],
      ];
      for (const [line, error] of lines)
        assert.equal(String(errorIn(await peer.send(address, [line]))), error, String(line).slice(0, 40));
    }));

  it("that does not come is not waited for", () =>
    withHosts(async (open, nursery) => {
      const clock = new TestClock();
      const { address, host } = await oldServer(open, nursery, {}, { clock });
      await using peer = await oldPeer();

      const answer = peer.send(address, ['{"op":']);
      await until(() => host.stats().inboundStreams === 1);
      clock.jump(REQUEST_MS);

      assert.equal(await answer, "");
      await until(() => host.stats().inboundStreams === 0);
    }));

  it("that is longer than a frame is refused, and nothing of it is kept", () =>
    withHosts(async (open, nursery) => {
      const limits = { maxFrameBytes: 10_000 };
      const { address, host } = await oldServer(open, nursery, {}, { limits });
      await using peer = await oldPeer();

      assert.equal(errorIn(await peer.send(address, [`"${"x".repeat(10_000)}`])), "frame_too_large");
      await until(() => host.stats().inboundStreams === 0);
    }));
});

describe("an answer on the old wire", LIMIT, () => {
  it("is never cut: one that is too long is an error that says what to do", () =>
    withHosts(async (open, nursery) => {
      const server = await oldServer(open, nursery, {}, { limits: { maxFrameBytes: 10_000 } });
      await using peer = await oldPeer();
      const taskId = await submitted(server, { text: "x".repeat(20_000) });

      const answer = await peer.ask(server.address, { op: "get", task_id: taskId });

      assert.equal(answer["error"], "answer_too_large");
      assert.match(String(answer["hint"]), /next_cursor/);
    }));

  it("with a long list comes in pages that old clients can read", () =>
    withHosts(async (open, nursery) => {
      const server = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const text = "x".repeat(400_000);
      const ids = [];
      for (let n = 0; n < 5; n++) ids.push(await submitted(server, { n, text }));

      const seen: unknown[] = [];
      let cursor: unknown;
      do {
        const line = await peer.send(server.address, [`${JSON.stringify({ op: "list", cursor })}\n`]);
        assert.ok(line.length < STRANGER_LINE_BYTES, `${line.length} bytes`);
        const page: unknown = JSON.parse(line);
        assert.ok(isJsonObject(page) && Array.isArray(page["tasks"]));
        seen.push(...page["tasks"].map((task: unknown) => isJsonObject(task) && task["task_id"]));
        cursor = page["next_cursor"];
      } while (cursor !== undefined);

      assert.deepEqual(seen, ids);
    }));

  it("gives numbers back as Python sent them, and NaN as null", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const payload = '{"big": 123456789012345678901, "none": NaN, "far": -Infinity}';

      const receipt: unknown = JSON.parse(
        await peer.send(address, [`{"op": "submit", "payload": ${payload}}\n`]),
      );
      const taskId = isJsonObject(receipt) ? String(receipt["task_id"]) : "";
      const task = await peer.send(address, [`{"op": "get", "task_id": "${taskId}"}\n`]);

      assert.ok(task.includes('"big":123456789012345678901'), task);
      assert.ok(task.includes('"none":null') && task.includes('"far":null'), task);
    }));

  it("to a wait comes when the task ends, and costs nothing once the peer has gone", () =>
    withHosts(async (open, nursery) => {
      const server = await oldServer(open, nursery);
      const taskId = await submitted(server);
      await using peer = await oldPeer();
      const gone = await oldPeer();

      const lost = gone.ask(server.address, { op: "wait", task_id: taskId }).catch(() => undefined);
      const waiting = peer.ask(server.address, { op: "wait", task_id: taskId });
      await until(() => server.host.stats().serving === 2);
      await gone[Symbol.asyncDispose]();
      await until(() => server.host.stats().serving === 1);
      await server.queue.queue.cancel(taskId, "enough");

      assert.equal(taskOf(await waiting)["status"], "cancelled");
      await lost;
    }));
});

describe("who may do what on the old wire", LIMIT, () => {
  it("strangers may ask for status, and send no more than that takes", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery, {}, { trustLoopback: false });
      await using peer = await oldPeer();

      assert.equal((await peer.ask(address, { op: "status" }))["ok"], true);
      for (const op of ["submit", "claim", "list", "cache.get", "heartbeat", "cancel", "call_tool"])
        assert.equal(
          (await peer.ask(address, { op, worker_id: "w", key: "k" }))["error"],
          "unauthorized",
          op,
        );
      assert.equal((await peer.ask(address, { op: "status", detail: 1 }))["error"], "unauthorized");
      const long = await peer.send(address, [`{"op":"status","x":"${"x".repeat(70_000)}`]);
      assert.equal(errorIn(long), "frame_too_large");
    }));

  it("the token proves one request, and only that", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery, {}, { sharedToken: TOKEN, trustLoopback: false });
      await using peer = await oldPeer();
      const payload = { text: "x".repeat(500_000) };

      assert.equal((await peer.ask(address, { op: "submit", payload, token: TOKEN }))["ok"], true);
      assert.equal((await peer.ask(address, { op: "submit", payload }))["error"], "unauthorized");
      assert.equal((await peer.ask(address, { op: "list", token: `${TOKEN}!` }))["error"], "unauthorized");
    }));
});

describe("completing over the old wire", LIMIT, () => {
  it("takes nothing out of the hands of those who claimed over another wire", () =>
    withHosts(async (open, nursery) => {
      const server = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const taskId = await submitted(server);
      await server.queue.as("a-peer").claim({ workerId: "w" });

      for (const op of ["complete", "release"])
        assert.equal(
          (await peer.ask(server.address, { op, task_id: taskId, worker_id: "w" }))["error"],
          "lease_lost",
        );
      assert.equal((await server.queue.queue.get(taskId))?.state, "running");
    }));

  it("under a later lease needs the name of the worker that has it", () =>
    withHosts(async (open, nursery) => {
      const server = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const { address, clock, queue } = server;
      const taskId = await submitted(server);
      const ask = (request: object): Promise<JsonObject> =>
        peer.ask(address, { task_id: taskId, ...request });

      assert.equal(taskOf(await ask({ op: "claim", worker_id: "first" }))["task_id"], taskId);
      clock.jump(OLD_WIRE_LEASE_MS + 1);
      const second = await queue.as(OLD_WIRE_HOLDER).claim({ workerId: "second", waitMs: 1000 });
      assert.equal(second.length, 1);

      assert.equal((await ask({ op: "complete", result: { by: "?" } }))["error"], "lease_token_required");
      const late = { text: "late", progress: { worker_id: "first" } };
      assert.equal((await ask({ op: "complete", result: late }))["error"], "lease_lost");
      const right = { text: "right", progress: { worker_id: "second" } };
      assert.equal((await ask({ op: "complete", result: right }))["ok"], true);
      assert.equal((await ask({ op: "complete", result: right }))["error"], "task_finished");
      assert.equal((await queue.queue.get(taskId))?.result?.["text"], "right");
    }));
});

describe("the later operations of the old wire", LIMIT, () => {
  it("claim many of one type, hand one back, cancel one, and submit once per key", () =>
    withHosts(async (open, nursery) => {
      const { address } = await oldServer(open, nursery);
      await using peer = await oldPeer();
      const ids: string[] = [];
      for (const type of ["a", "b", "a"])
        ids.push(String((await peer.ask(address, { op: "submit", task_type: type }))["task_id"]));
      const once = { op: "submit", task_type: "c", payload: { idempotency_key: "k" } };

      const { tasks } = await peer.ask(address, { op: "claim_many", worker_id: "w", max_tasks: 5 });
      const release = { op: "release", task_id: ids[0], worker_id: "w" };
      const cancel = { op: "cancel", task_id: ids[1] };
      const answers = [await peer.ask(address, release), await peer.ask(address, cancel)];
      const keyed = [await peer.ask(address, once), await peer.ask(address, once)];
      const states = await Promise.all(ids.map((id) => peer.ask(address, { op: "get", task_id: id })));

      assert.ok(Array.isArray(tasks));
      assert.deepEqual(
        tasks.map((task: unknown) => isJsonObject(task) && task["task_id"]),
        [ids[0], ids[2]],
      );
      assert.deepEqual(
        answers.map(({ ok }) => ok),
        [true, true],
      );
      assert.deepEqual(
        states.map((answer) => taskOf(answer)["status"]),
        ["queued", "cancelled", "running"],
      );
      assert.equal(keyed[0]?.["task_id"], keyed[1]?.["task_id"]);
    }));
});

describe("a client that speaks only newline JSON", LIMIT, () => {
  it("submits to a node, whose worker does the task, and reads the result", async () => {
    using folder = temporaryFolder();
    const flags = { dataDir: folder.path, http: false, logLevel: "silent" };
    await using node = await createNode(loadConfig({ env: {}, flags }).config);
    await using peer = await oldPeer();
    const address = node.multiaddrs[0] ?? "";

    const { task_id: taskId } = await peer.ask(address, {
      op: "submit",
      task_type: "echo",
      payload: { say: "hé" },
    });
    const task = taskOf(await peer.ask(address, { op: "wait", task_id: taskId, timeout_s: 20 }));
    const tool = { op: "call_tool", tool: "p2p_taskqueue_get_task", args: { task_id: taskId } };
    const called = await peer.ask(address, tool);
    const unknown = await peer.ask(address, { op: "call_tool", tool: "no_such_tool" });

    assert.equal(task["status"], "completed");
    assert.deepEqual(isJsonObject(task["result"]) && task["result"]["echo"], { say: "hé" });
    assert.equal(called["ok"], true);
    assert.equal(unknown["error"], "tool_not_found");
    assert.equal(unknown["tool"], "no_such_tool");
  });
});
