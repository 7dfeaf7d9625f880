import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/client";
import { type Caller, OWNER } from "../../src/authority/caller.ts";
import { memoryPair } from "../../src/transport/index.ts";
import { openSmallNode, type SmallNode, STRANGER } from "./support.ts";

async function clientOf(node: SmallNode, caller: Caller): Promise<Client> {
  const [near, far] = memoryPair();
  await node.server.serveStream(far, caller);
  const client = new Client({ name: "t", version: "1" }, { capabilities: {} });
  await client.connect(near);
  return client;
}

async function readJson(client: Client, uri: string): Promise<unknown> {
  const { contents } = await client.readResource({ uri });
  const [first] = contents;
  return first && "text" in first ? JSON.parse(first.text) : undefined;
}

describe("resources of the MCP server", () => {
  it("are the runs and the running tasks, to be read by their addresses", async () => {
    await using node = await openSmallNode();
    const { run_id: runId } = await node.call("workflow_run", {
      workflow: { name: "w", steps: [{ id: "a", task: "t" }] },
    });
    const { task_id: taskId } = await node.call("p2p_taskqueue_submit", {
      task_type: "u",
      model_name: "",
      payload: { x: 1 },
    });
    await node.call("p2p_taskqueue_claim_next", { worker_id: "w", supported_task_types: ["u"] });
    const client = await clientOf(node, OWNER);
    const { resources } = await client.listResources();
    assert.deepEqual(
      resources.map(({ uri }) => uri),
      [`workflow://${String(runId)}`, `task://${String(taskId)}`],
    );
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.deepEqual(
      resourceTemplates.map(({ uriTemplate }) => uriTemplate),
      ["workflow://{id}", "task://{id}"],
    );
    const run = await readJson(client, `workflow://${String(runId)}`);
    assert.partialDeepStrictEqual(run, {
      run_id: runId,
      workflow: "w",
      state: "running",
      steps: [{ id: "a" }],
    });
    assert.partialDeepStrictEqual(await readJson(client, `task://${String(taskId)}`), {
      task_type: "u",
      payload: { x: 1 },
    });
    for (const uri of ["workflow://none", "task://none", "file:///etc/passwd", "workflow://a/b"])
      await assert.rejects(client.readResource({ uri }), /not found/i, uri);
    await client.close();
  });

  it("are hidden from callers who may not observe", async () => {
    await using node = await openSmallNode();
    const { run_id: runId } = await node.call("workflow_run", {
      workflow: { name: "w", steps: [{ id: "a", task: "t" }] },
    });
    const client = await clientOf(node, STRANGER);
    assert.deepEqual((await client.listResources()).resources, []);
    await assert.rejects(
      client.readResource({ uri: `workflow://${String(runId)}` }),
      /lacks the grant 'observe'/,
    );
    await client.close();
  });
});
