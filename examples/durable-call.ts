import { connect, createNode, loadConfig } from "../src/index.ts";

const { config } = loadConfig({ flags: { port: 0, dataDir: "/tmp/my-node" } });
await using node = await createNode(config);
await using client = await connect(node);

const { task_id } = await client.call("p2p_taskqueue_submit", {
  task_type: "echo",
  model_name: "",
  payload: { hello: "world" },
});
console.log(await client.call("p2p_taskqueue_wait_task", { task_id, timeout_s: 10 }));
