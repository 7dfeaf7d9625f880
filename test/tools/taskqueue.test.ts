/** The task-queue tools against a real queue, called through the dispatch as every wire calls them. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { FRIEND, openSmallNode, SELF, type SmallNode } from "../server/support.ts";

describe("task-queue tools", () => {
  let node: SmallNode;
  beforeEach(async () => {
    node = await openSmallNode();
  });
  afterEach(async () => node[Symbol.asyncDispose]());

  const submit = async (extra: JsonObject = {}): Promise<string> => {
    const answer = await node.call("p2p_taskqueue_submit", {
      task_type: "t",
      model_name: "m",
      payload: {},
      ...extra,
    });
    assert.equal(answer["ok"], true, JSON.stringify(answer));
    return String(answer["task_id"]);
  };
  const claim = async (extra: JsonObject = {}): Promise<JsonObject> => {
    const answer = await node.call("p2p_taskqueue_claim_next", { worker_id: "w1", ...extra });
    return objectIn(answer, "task");
  };
  const get = async (taskId: string): Promise<JsonObject> =>
    objectIn(await node.call("p2p_taskqueue_get_task", { task_id: taskId }), "task");

  it("leads a task from submit to a result that waiting returns", async () => {
    const taskId = await submit({ payload: { text: "hi" } });
    const claimed = await claim();
    assert.equal(claimed["task_id"], taskId);
    const done = { task_id: taskId, lease_token: claimed["lease_token"], result: { text: "ho" } };
    assert.deepEqual(await node.call("p2p_taskqueue_complete_task", done), {
      ok: true,
      task_id: taskId,
      peer_id: SELF,
    });

    const waited = await node.call("p2p_taskqueue_wait_task", { task_id: taskId });

    assert.equal(waited["timed_out"], false);
    const task = objectIn(waited, "task");
    assert.equal(task["status"], "completed");
    assert.deepEqual(task["result"], { text: "ho" });
    assert.deepEqual(task["payload"], { text: "hi" });
    assert.equal(task["error"], null);
  });

  it("wakes a wait when the task ends, long before its time is up", async () => {
    const taskId = await submit();
    const claimed = await claim();
    const begunMs = performance.now();
    const waiting = node.call("p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: 30 });
    await node.call("p2p_taskqueue_complete_task", { task_id: taskId, lease_token: claimed["lease_token"] });
    assert.equal(objectIn(await waiting, "task")["status"], "completed");
    assert.ok(performance.now() - begunMs < 5000);
  });

  it("says that a wait timed out and shows the unfinished task, within timeout_s", async () => {
    const taskId = await submit();
    const begunMs = performance.now();
    const answer = await node.call("p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: 0.2 });
    assert.ok(performance.now() - begunMs < 1000);
    assert.equal(answer["ok"], true);
    assert.equal(answer["timed_out"], true);
    assert.equal(objectIn(answer, "task")["status"], "queued");
  });

  it("answers at once when a wait gives no time", async () => {
    const taskId = await submit();
    const answer = await node.call("p2p_taskqueue_wait_task", { task_id: taskId, timeout_s: 0 });
    assert.equal(answer["timed_out"], true);
    assert.equal(objectIn(answer, "task")["task_id"], taskId);
  });

  it("shows times in seconds, progress and logs beside the result, as the old system does", async () => {
    const taskId = await submit();
    const { lease_token: token } = await claim();
    const note = { progress: { phase: "half" }, logs: [{ message: "line", ts: 1700000001.5 }] };
    const renewed = await node.call("p2p_taskqueue_renew_task", {
      task_id: taskId,
      lease_token: token,
      ...note,
    });
    assert.equal(renewed["ok"], true, JSON.stringify(renewed));

    const running = await get(taskId);
    assert.deepEqual(running["result"], {
      progress: { phase: "half" },
      logs: [{ ts: 1700000001.5, stream: "stdout", message: "line" }],
    });
    assert.ok(Math.abs(Number(running["created_at"]) - Date.now() / 1000) < 60);

    await node.call("p2p_taskqueue_complete_task", { task_id: taskId, lease_token: token, result: { n: 1 } });
    const { result } = await get(taskId);
    assert.deepEqual(Object.keys(asObject(result)).toSorted(), ["logs", "n", "progress"]);
  });

  it("lists tasks as a flat array, page by page, with payloads unless they are not wanted", async () => {
    const ids = [
      await submit({ payload: { n: 1 } }),
      await submit({ payload: { n: 2 } }),
      await submit({ task_type: "u" }),
    ];
    const first = await node.call("p2p_taskqueue_list_tasks", { limit: 2 });
    const second = await node.call("p2p_taskqueue_list_tasks", { limit: 2, cursor: first["next_cursor"] });
    const rows = [...rowsOf(first), ...rowsOf(second)];
    assert.deepEqual(
      rows.map((row) => row["task_id"]),
      ids,
    );
    assert.deepEqual(rows[1]?.["payload"], { n: 2 });
    assert.equal(second["next_cursor"], null);

    const bare = await node.call("p2p_taskqueue_list_tasks", {
      bodies: false,
      task_types: ["u"],
      status: " Queued ",
    });
    assert.deepEqual(
      rowsOf(bare).map((row) => [row["task_id"], row["payload"], row["bodies_omitted"]]),
      [[ids[2], null, true]],
    );
  });

  it("takes the priority from the argument, else from the payload", async () => {
    const byPayload = await submit({ payload: { priority: "7", max_attempts: 2, idempotency_key: "k" } });
    const byArgument = await submit({ payload: { priority: 2 }, priority: 9 });
    assert.equal((await get(byPayload))["priority"], 7);
    assert.equal((await get(byPayload))["max_attempts"], 2);
    assert.equal((await get(byPayload))["idempotency_key"], "k");
    assert.equal((await claim())["task_id"], byArgument);
  });

  it("gives the same task for the same idempotency key, and refuses it for other work", async () => {
    const task = { task_type: "t", model_name: "m", payload: { a: 1 }, idempotency_key: "once" };
    const first = await node.call("p2p_taskqueue_submit", task);
    const again = await node.call("p2p_taskqueue_submit", task);
    assert.equal(again["task_id"], first["task_id"]);
    assert.deepEqual([first["created"], again["created"]], [true, false]);
    const other = await node.call("p2p_taskqueue_submit", { ...task, payload: { a: 2 } });
    assert.deepEqual([other["ok"], other["error_code"]], [false, "E_IDEMPOTENCY_CONFLICT"]);
  });

  it("refuses the completion of a stale lease", async () => {
    const taskId = await submit();
    const stale = await claim();
    await node.call("p2p_taskqueue_release_task", { task_id: taskId, lease_token: stale["lease_token"] });
    const current = await claim({ worker_id: "w2" });
    assert.ok(Number(current["lease_token"]) > Number(stale["lease_token"]));
    const refused = await node.call("p2p_taskqueue_complete_task", {
      task_id: taskId,
      lease_token: stale["lease_token"],
    });
    assert.deepEqual(
      [refused["ok"], refused["error_code"], refused["retryable"]],
      [false, "E_LEASE_LOST", false],
    );
  });

  it("completes without a token only under the first lease of a task", async () => {
    const taskId = await submit();
    await claim();
    const done = await node.call("p2p_taskqueue_complete_task", { task_id: taskId, result: { n: 1 } });
    assert.equal(done["ok"], true, JSON.stringify(done));

    const second = await submit();
    const { lease_token: token } = await claim();
    await node.call("p2p_taskqueue_release_task", { task_id: second, lease_token: token });
    await claim();
    const refused = await node.call("p2p_taskqueue_complete_task", { task_id: second });
    assert.equal(refused["error_code"], "E_LEASE_TOKEN_REQUIRED");
  });

  it("reports an unknown id to complete as an error", async () => {
    const answer = await node.call("p2p_taskqueue_complete_task", { task_id: "nope" });
    assert.deepEqual([answer["ok"], answer["error_code"]], [false, "E_TASK_NOT_FOUND"]);
  });

  it("fails a task for good, or puts it back when a retry is asked for", async () => {
    const taskId = await submit();
    const first = await claim();
    const failed = { task_id: taskId, status: "failed", error: "no luck" };
    await node.call("p2p_taskqueue_complete_task", {
      ...failed,
      lease_token: first["lease_token"],
      retry: true,
    });
    const waiting = await get(taskId);
    assert.deepEqual([waiting["status"], waiting["error"]], ["queued", "no luck"]);

    const other = await submit({ priority: 10 });
    const second = await claim();
    await node.call("p2p_taskqueue_complete_task", {
      ...failed,
      task_id: other,
      lease_token: second["lease_token"],
    });
    const ended = await get(other);
    assert.deepEqual(
      [ended["status"], ended["error"], ended["error_code"]],
      ["failed", "no luck", "E_TASK_FAILED"],
    );
  });

  it("cancels: by its submitter at any time, by a worker only under its lease", async () => {
    const queued = await submit();
    assert.equal(
      (await node.call("p2p_taskqueue_cancel_task", { task_id: queued, reason: "enough" }))["ok"],
      true,
    );
    assert.deepEqual([(await get(queued))["status"], (await get(queued))["error"]], ["cancelled", "enough"]);

    const running = await submit();
    const { lease_token: token } = await claim();
    const cancel = { task_id: running, status: "cancelled", error: "stop" };
    const stale = await node.call("p2p_taskqueue_complete_task", {
      ...cancel,
      lease_token: Number(token) + 1,
    });
    assert.equal(stale["error_code"], "E_LEASE_LOST");
    assert.equal(
      (await node.call("p2p_taskqueue_complete_task", { ...cancel, lease_token: token }))["ok"],
      true,
    );
    assert.equal((await get(running))["status"], "cancelled");
  });

  it("announces the claimer's own identity, and takes only remote_peer_id as the target", async () => {
    await submit();
    const claimed = await claim({ peer_id: "P1", remote_peer_id: SELF });
    assert.equal(claimed["assigned_worker"], "w1");
    assert.deepEqual(node.heartbeats, ["P1"]);
    const beat = await node.call("p2p_taskqueue_heartbeat", { peer_id: "P2" });
    assert.deepEqual([beat["ok"], beat["peer"], beat["peer_id"]], [true, "P2", SELF]);
  });

  it("accepts both spellings of the peer hint elsewhere, unless they disagree", async () => {
    for (const hint of [
      { peer_id: SELF },
      { remote_peer_id: SELF },
      { peer_id: SELF, remote_peer_id: SELF },
    ]) {
      assert.equal((await node.call("p2p_taskqueue_list_tasks", hint))["ok"], true);
    }
    const answer = await node.call("p2p_taskqueue_list_tasks", { peer_id: SELF, remote_peer_id: "P2" });
    assert.equal(answer["error_code"], "E_INVALID_INPUT");
    const elsewhere = await node.call("p2p_taskqueue_list_tasks", { peer_id: "P2" });
    assert.deepEqual([elsewhere["error_code"], elsewhere["retryable"]], ["E_UNREACHABLE", true]);
  });

  it("refuses a payload that is no object, and arguments it does not know", async () => {
    for (const bad of [
      { payload: [1] },
      { payload: "x" },
      { payload: {}, colour: "red" },
      {},
      { payload: {}, priority: 11 },
    ]) {
      const answer = await node.call("p2p_taskqueue_submit", { task_type: "t", model_name: "m", ...bad });
      assert.equal(answer["error_code"], "E_INVALID_INPUT", JSON.stringify(bad));
    }
    const answer = await node.call("p2p_taskqueue_submit", { task_type: "t", model_name: "m", payload: 1 });
    assert.match(String(answer["error"]), /payload/);
  });

  it("keeps values in the shared cache, null among them", async () => {
    const missed = await node.call("p2p_taskqueue_cache_get", { key: "k" });
    assert.deepEqual([missed["hit"], missed["value"]], [false, null]);
    const set = await node.call("p2p_taskqueue_cache_set", { key: "k", value: { a: 1 }, ttl_s: 60 });
    assert.deepEqual([set["ok"], set["key"], set["peer_id"]], [true, "k", SELF]);
    const hit = await node.call("p2p_taskqueue_cache_get", { key: "k" });
    assert.deepEqual([hit["hit"], hit["value"]], [true, { a: 1 }]);
    assert.ok(Number(hit["expires_at"]) > Date.now() / 1000);
    await node.call("p2p_taskqueue_cache_set", { key: "n", value: null });
    assert.equal((await node.call("p2p_taskqueue_cache_get", { key: "n" }))["hit"], true);
    assert.equal((await node.call("p2p_taskqueue_cache_set", { key: "k" }))["error_code"], "E_INVALID_INPUT");
  });

  it("tells whether the shared cache has a value, counts it and deletes it", async () => {
    assert.equal((await node.call("p2p_taskqueue_cache_has", { key: "k" }))["hit"], false);
    await node.call("p2p_taskqueue_cache_set", { key: "k", value: null });
    assert.equal((await node.call("p2p_taskqueue_cache_has", { key: " k " }))["hit"], true);
    const stats = await node.call("p2p_taskqueue_cache_stats");
    assert.deepEqual([stats["entries"], stats["replicas"], stats["peer_id"]], [1, [], SELF]);
    assert.equal((await node.call("p2p_taskqueue_cache_delete", { key: "k" }))["deleted"], true);
    assert.equal((await node.call("p2p_taskqueue_cache_delete", { key: "k" }))["deleted"], false);
  });

  it("queues the documented payload for a container run", async () => {
    const answer = await node.call("p2p_taskqueue_submit_docker_hub", {
      image: "python:3.11",
      command: ["python", "", "-c", "print(1)"],
      entrypoint: "bash -lc",
      environment: { A: 1, B: true, C: null },
      volumes: { "/h": "/c" },
      memory_limit: "256m",
      cpu_limit: 1.5,
      gpus: null,
      options: { shm_size: "1g", nothing: null },
    });
    const task = await get(String(answer["task_id"]));
    assert.deepEqual([task["task_type"], task["model_name"]], ["docker.execute", "docker"]);
    assert.deepEqual(task["payload"], {
      image: "python:3.11",
      command: ["python", "-c", "print(1)"],
      entrypoint: "bash -lc",
      environment: { A: "1", B: "True", C: "None" },
      volumes: { "/h": "/c" },
      memory_limit: "256m",
      cpu_limit: 1.5,
      shm_size: "1g",
    });
  });

  it("queues the documented payload for a repository", async () => {
    const answer = await node.call("p2p_taskqueue_submit_docker_github", {
      repo_url: "https://github.com/u/r",
      command: "make run",
      environment: { X: "y" },
      build_args: { N: 2 },
      timeout: 99,
    });
    const task = await get(String(answer["task_id"]));
    assert.equal(task["task_type"], "docker.github");
    assert.deepEqual(task["payload"], {
      repo_url: "https://github.com/u/r",
      branch: "main",
      dockerfile_path: "Dockerfile",
      context_path: ".",
      command: "make run",
      environment: { X: "y" },
      build_args: { N: "2" },
      timeout: 99,
    });
  });

  it("calls a tool of a node and passes its answer on", async () => {
    const args = { tool_name: "p2p_taskqueue_status", args: {} };
    const answer = await node.call("p2p_taskqueue_call_tool", args);
    assert.deepEqual([answer["ok"], answer["tool"], answer["peer_id"]], [true, "p2p_taskqueue_status", SELF]);
    const failed = await node.call("p2p_taskqueue_call_tool", { tool_name: "nope" });
    assert.deepEqual([failed["ok"], failed["error_code"]], [false, "E_TOOL_NOT_FOUND"]);
  });

  it("gives a lease only into the hands of its claimer", async () => {
    const taskId = await submit();
    const { lease_token: token } = await claim();
    const stolen = await node.call(
      "p2p_taskqueue_complete_task",
      { task_id: taskId, lease_token: token },
      FRIEND,
    );
    assert.equal(stolen["error_code"], "E_LEASE_LOST");
  });
});

function asObject(value: unknown): JsonObject {
  assert.ok(isJsonObject(value), JSON.stringify(value));
  return value;
}

function objectIn(answer: JsonObject, key: string): JsonObject {
  return asObject(answer[key]);
}

function rowsOf(answer: JsonObject): readonly JsonObject[] {
  const { tasks } = answer;
  assert.ok(Array.isArray(tasks), JSON.stringify(answer));
  return tasks.map(asObject);
}
