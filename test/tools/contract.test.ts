/** What all tools owe: names and arguments of the contract, valid schemas, grants, and the recorded results. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, it } from "node:test";
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/server/validators/ajv";
import type { JsonSchemaType } from "@modelcontextprotocol/server";
import * as z from "zod";
import { OWNER } from "../../src/authority/caller.ts";
import { isJsonObject, jsonBytes, type JsonObject } from "../../src/content/json.ts";
import { priorityOf } from "../../src/task/payload-settings.ts";
import { allTools } from "../../src/tools/index.ts";
import { openSmallNode, type SmallNode, STRANGER } from "../server/support.ts";

/** Models get the whole list with every conversation: about 15,000 tokens. Workflows cost 2,500, the scheduler's seven tools 2,000. */
const MAX_LIST_BYTES = 67_000;

/** The 14 tools of contract.md 1.2 and the 7 of 1.3 with their arguments, and ours with theirs. `*` marks what is required. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  p2p_taskqueue_status: "remote_multiaddr peer_id timeout_s detail",
  p2p_taskqueue_submit: "task_type* model_name* payload* remote_multiaddr peer_id",
  p2p_taskqueue_claim_next: "worker_id* supported_task_types peer_id clock remote_multiaddr remote_peer_id",
  p2p_taskqueue_call_tool: "tool_name* args remote_multiaddr remote_peer_id timeout_s",
  p2p_taskqueue_list_tasks: "status limit task_types remote_multiaddr remote_peer_id",
  p2p_taskqueue_get_task: "task_id* remote_multiaddr remote_peer_id",
  p2p_taskqueue_wait_task: "task_id* timeout_s since remote_multiaddr remote_peer_id",
  p2p_taskqueue_complete_task: "task_id* status result error remote_multiaddr remote_peer_id",
  p2p_taskqueue_heartbeat: "peer_id* clock remote_multiaddr remote_peer_id",
  p2p_taskqueue_cache_get: "key* timeout_s remote_multiaddr remote_peer_id",
  p2p_taskqueue_cache_set: "key* value* ttl_s timeout_s remote_multiaddr remote_peer_id",
  p2p_taskqueue_submit_docker_hub:
    "image* command entrypoint environment volumes remote_multiaddr remote_peer_id memory_limit cpu_limit timeout network_mode working_dir read_only no_new_privileges user stream_output gpus model_name task_type",
  p2p_taskqueue_submit_docker_github:
    "repo_url* branch dockerfile_path context_path command entrypoint environment build_args remote_multiaddr remote_peer_id",
  p2p_scheduler_status: "",
  p2p_submit_task: "task_id* workflow_id* name* tags* priority",
  p2p_get_next_task: "",
  p2p_mark_task_complete: "task_id*",
  p2p_check_workflow_tags: "tags*",
  p2p_update_peer_state: "peer_id* clock_data*",
  p2p_get_merkle_clock: "",
  workflow_run: "workflow* inputs idempotency_key wait_s remote_multiaddr remote_peer_id",
  workflow_list: "state workflow waits_for_approval limit cursor remote_multiaddr remote_peer_id",
  workflow_show: "run_id* wait_s after events_after remote_multiaddr remote_peer_id",
  workflow_cancel: "run_id* reason remote_multiaddr remote_peer_id",
  workflow_retry: "run_id* from remote_multiaddr remote_peer_id",
  workflow_approve: "run_id* step* approved* comment value remote_multiaddr remote_peer_id",
  workflow_explain: "run_id* remote_multiaddr remote_peer_id",
  workflow_replay: "run_id* remote_multiaddr remote_peer_id",
  list_peers:
    "include_capabilities capabilities_timeout_s capabilities_detail discover discovery_timeout_s discovery_methods limit",
  p2p_doctor: "",
  p2p_why: "peer*",
  p2p_taskqueue_cancel_task: "task_id* reason",
  p2p_taskqueue_renew_task: "task_id* lease_token* lease_s progress logs",
  p2p_taskqueue_release_task: "task_id* lease_token* reason",
  p2p_taskqueue_cache_has: "key* timeout_s remote_multiaddr remote_peer_id",
  p2p_taskqueue_cache_delete: "key* timeout_s remote_multiaddr remote_peer_id",
  p2p_taskqueue_cache_stats: "timeout_s remote_multiaddr remote_peer_id",
};

/** Arguments that pass, and the grant that the call then needs. */
const CALLS: readonly (readonly [tool: string, args: JsonObject, grant: string])[] = [
  ["p2p_taskqueue_status", {}, "status"],
  ["p2p_taskqueue_status", { detail: true }, "observe"],
  ["p2p_taskqueue_submit", { task_type: "t", model_name: "", payload: {} }, "submit"],
  ["p2p_taskqueue_submit_docker_hub", { image: "i" }, "submit"],
  ["p2p_taskqueue_submit_docker_github", { repo_url: "r" }, "submit"],
  ["p2p_taskqueue_cancel_task", { task_id: "x" }, "submit"],
  ["p2p_taskqueue_complete_task", { task_id: "x", status: "cancelled" }, "submit"],
  ["p2p_taskqueue_claim_next", { worker_id: "w" }, "work"],
  ["p2p_taskqueue_complete_task", { task_id: "x" }, "work"],
  ["p2p_taskqueue_complete_task", { task_id: "x", status: "cancelled", lease_token: 1 }, "work"],
  ["p2p_taskqueue_renew_task", { task_id: "x", lease_token: 1 }, "work"],
  ["p2p_taskqueue_release_task", { task_id: "x", lease_token: 1 }, "work"],
  ["p2p_taskqueue_heartbeat", { peer_id: "p" }, "work"],
  ["workflow_run", { workflow: "" }, "submit"],
  ["workflow_cancel", { run_id: "x" }, "submit"],
  ["workflow_retry", { run_id: "x" }, "submit"],
  ["workflow_approve", { run_id: "x", step: "s", approved: true }, "submit"],
  ["workflow_list", {}, "observe"],
  ["workflow_show", { run_id: "x" }, "observe"],
  ["workflow_explain", { run_id: "x" }, "observe"],
  ["workflow_replay", { run_id: "x" }, "observe"],
  ["p2p_taskqueue_list_tasks", {}, "observe"],
  ["p2p_taskqueue_get_task", { task_id: "x" }, "observe"],
  ["p2p_taskqueue_wait_task", { task_id: "x" }, "observe"],
  ["list_peers", {}, "observe"],
  ["p2p_doctor", {}, "observe"],
  ["p2p_why", { peer: "x" }, "admin"],
  ["p2p_taskqueue_cache_get", { key: "k" }, "cache"],
  ["p2p_taskqueue_cache_set", { key: "k", value: 1 }, "cache"],
  ["p2p_taskqueue_cache_has", { key: "k" }, "cache"],
  ["p2p_taskqueue_cache_delete", { key: "k" }, "cache"],
  ["p2p_taskqueue_cache_stats", {}, "cache"],
  ["p2p_scheduler_status", {}, "observe"],
  ["p2p_submit_task", { task_id: "t", workflow_id: "w", name: "n", tags: [] }, "submit"],
  ["p2p_get_next_task", {}, "work"],
  ["p2p_mark_task_complete", { task_id: "t" }, "work"],
  ["p2p_check_workflow_tags", { tags: ["p2p-only"] }, "status"],
  ["p2p_update_peer_state", { peer_id: "q", clock_data: { node_id: "q", vector: { q: 3 } } }, "work"],
  ["p2p_get_merkle_clock", {}, "observe"],
  ["p2p_taskqueue_call_tool", { tool_name: "fs__read" }, "tools:fs__read"],
];

const vectorsSchema = z.object({
  rows: z.array(
    z.object({
      tool: z.string(),
      note: z.string(),
      arguments: z.record(z.string(), z.unknown()),
      result: z.record(z.string(), z.unknown()),
    }),
  ),
});

function vectors(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url), "utf8"));
}

describe("tool contract", () => {
  let node: SmallNode;
  beforeEach(async () => {
    node = await openSmallNode();
  });
  afterEach(async () => node[Symbol.asyncDispose]());

  it("has every documented tool with every documented argument", () => {
    const { tools } = node.server.listTools(OWNER);
    assert.deepEqual(tools.map(({ name }) => name).toSorted(), Object.keys(ARGUMENTS).toSorted());
    for (const { name, inputSchema } of tools) {
      const documented = (ARGUMENTS[name] ?? "").split(" ").filter(Boolean);
      const offered = new Set(Object.keys(inputSchema.properties ?? {}));
      for (const argument of documented)
        assert.ok(offered.has(argument.replace("*", "")), `${name}: ${argument}`);
      const required = documented
        .filter((argument) => argument.endsWith("*"))
        .map((argument) => argument.slice(0, -1));
      assert.deepEqual([...(inputSchema.required ?? [])].toSorted(), required.toSorted(), name);
    }
  });

  it("describes every tool and every argument in words", () => {
    for (const { name, description, title, inputSchema, annotations } of node.server.listTools(OWNER).tools) {
      assert.ok((description ?? "").length > 40 && title && annotations, name);
      for (const [argument, schema] of Object.entries(inputSchema.properties ?? {})) {
        assert.ok(isJsonObject(schema) && typeof schema["description"] === "string", `${name}.${argument}`);
      }
    }
  });

  it("keeps the list of tools short enough to be given to a model", () => {
    const bytes = jsonBytes(node.server.listTools(OWNER));
    assert.ok(bytes < MAX_LIST_BYTES, `${bytes} bytes`);
  });

  it("publishes valid schemas that accept what the tools accept and answer", async () => {
    const validator = new AjvJsonSchemaValidator();
    for (const [name, args] of CALLS) {
      const tool = node.server.listTools(OWNER).tools.find((listed) => listed.name === name);
      assert.ok(tool?.outputSchema, name);
      const input = validator.getValidator(plain(tool.inputSchema))(args);
      assert.ok(input.valid, `${name} arguments: ${input.errorMessage}`);
      const quick = name === "p2p_taskqueue_wait_task" ? { ...args, timeout_s: 0 } : args;
      const output = validator.getValidator(plain(tool.outputSchema))(await node.call(name, quick));
      assert.ok(output.valid, `${name} answer: ${output.errorMessage}`);
    }
  });

  it("denies every tool to a caller without its grant", async () => {
    const tested = new Set(CALLS.map(([name]) => name));
    assert.deepEqual([...tested].toSorted(), allTools.map(({ name }) => name).toSorted());
    for (const [name, args, grant] of CALLS) {
      const tool = allTools.find((one) => one.name === name);
      assert.equal(tool?.parse(args).grant, grant, name);
      const { isError, structuredContent } = await node.server.callTool(name, args, { caller: STRANGER });
      if (grant === "status") {
        assert.notEqual(isError, true);
        continue;
      }
      assert.equal(isError, true, `${name} ${JSON.stringify(args)}`);
      assert.ok(isJsonObject(structuredContent));
      assert.deepEqual([structuredContent["ok"], structuredContent["error_code"]], [false, "E_DENIED"]);
    }
  });

  it("reads priorities as the old system does", () => {
    const rows = z.object({
      task_queue_priority: z.array(
        z.object({ payload: z.object({ priority: z.unknown().optional() }), effective: z.number() }),
      ),
    });
    for (const { payload, effective } of rows.parse(vectors("priority_order.json")).task_queue_priority) {
      const { priority } = payload;
      assert.equal(priority === undefined ? 5 : priorityOf(priority), effective, JSON.stringify(payload));
    }
    for (const [value, expected] of [
      [7.9, 7],
      ["7.9", 5],
      [0, 5],
      [0.5, 1],
      ["0", 1],
      [-3, 1],
      [null, 5],
    ] as const) {
      assert.equal(priorityOf(value), expected, JSON.stringify(value));
    }
  });

  it("answers the recorded calls as recorded, but for documented defects", async () => {
    const { rows } = vectorsSchema.parse(vectors("mcp_tool_results.json"));
    const known = rows
      // Those of the scheduler have no `ok` and are replayed in workflow.test.ts.
      .filter(({ tool, result }) => tool in ARGUMENTS && "ok" in result)
      .filter(({ note }) => !note.startsWith("nothing discoverable"));
    let replayed = 0;
    let firstId: string | undefined;
    for (const { tool, note, arguments: args, result } of known) {
      // Recorded without a service, which a small node always is; or with peers, which it never has.
      if (tool === "list_peers" || tool === "p2p_taskqueue_status") continue;
      const answer = await node.call(tool, here(args, firstId));
      if (typeof answer["task_id"] === "string") firstId ??= answer["task_id"];
      replayed++;
      assert.equal(answer["ok"], result["ok"], `${tool} ${note}: ${JSON.stringify(answer)}`);
      if (result["ok"] === false) assert.match(String(answer["error_code"]), /^E_/);
      else assert.deepEqual(shapeOf(result, answer), corrected(result), `${tool} ${note}`);
    }
    assert.equal(replayed, 11);
  });
});

const RECORDED_FIRST_ID = "00000000000040008000000000000001";

/** The arguments without the recorded address, because the small node is the service, and with its own first task. */
function here(recorded: JsonObject, firstId: string | undefined): JsonObject {
  const { remote_multiaddr: _, ...args } = recorded;
  return args["task_id"] === RECORDED_FIRST_ID ? { ...args, task_id: firstId } : args;
}

/** A listed schema as the validator wants it: what came over the wire. */
function plain(schema: object): JsonSchemaType {
  return JSON.parse(JSON.stringify(schema));
}

/** What differs by nature between two runs. */
const VARYING = new Set(["task_id", "created_at", "updated_at"]);

/** The recorded result with the one documented defect of shape corrected: tasks nested in tasks. */
function corrected(result: JsonObject): unknown {
  const { tasks } = result;
  const flat = isJsonObject(tasks) ? { ...result, tasks: tasks["tasks"] } : result;
  return comparable(flat, flat);
}

/** The members of `actual` that the recording has, too. */
function shapeOf(recorded: JsonObject, actual: JsonObject): unknown {
  const { tasks } = recorded;
  const flat = isJsonObject(tasks) ? { ...recorded, tasks: tasks["tasks"] } : recorded;
  return comparable(flat, actual);
}

function comparable(pattern: unknown, value: unknown): unknown {
  if (Array.isArray(pattern) && Array.isArray(value)) {
    // The service of the recording held a task more, submitted outside of the recording.
    return pattern.slice(0, 1).map((item, index) => comparable(item, value[index]));
  }
  if (!isJsonObject(pattern) || !isJsonObject(value)) return value === undefined ? "absent" : value;
  const entries = Object.entries(pattern).map(([key, member]) =>
    VARYING.has(key) ? [key, typeof value[key]] : [key, comparable(member, value[key])],
  );
  return Object.fromEntries(entries);
}
