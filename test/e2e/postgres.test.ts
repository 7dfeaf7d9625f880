/** Two nodes on one PostgreSQL database, as users start them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/connect.ts";
import { spawnMcpp, startNode, temporaryFolder } from "../support/node-process.ts";
import { noPostgres, type PostgresServer, startPostgres } from "../support/postgres.ts";

async function output(
  args: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: unknown; text: string }> {
  const child = spawnMcpp(args, folder, env);
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  child.stdin?.end();
  const [code] = await once(child, "close");
  return { code, text: said.join("") };
}

describe("two nodes on one PostgreSQL database", { skip: noPostgres, timeout: 240_000 }, () => {
  let server: PostgresServer | undefined;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server?.remove());

  it("wait for each other's tasks, and show no password", async () => {
    using folder = temporaryFolder();
    const url = server?.tcpUrl() ?? "";
    const env = { MCPP_STORE: url };
    const [one, other] = [join(folder.path, "one"), join(folder.path, "other")];
    const a = await startNode(one, ["--no-p2p", "--log-level", "debug"], "serve", { env });
    const b = await startNode(other, ["--no-p2p", "--workers", "1", "--log-level", "debug"], "serve", {
      env,
    });
    try {
      await using client = await connect(a.mcp);
      const task = { task_type: "echo", model_name: "", payload: { hello: "b" } };
      const { task_id: taskId } = await client.call("p2p_taskqueue_submit", task);
      const waiting = client.call("p2p_taskqueue_wait_task", { task_id: String(taskId), timeout_s: 20 });
      const startedAt = performance.now();
      const { task: done } = await waiting;
      assert.ok(performance.now() - startedAt < 10_000, "only a look at long intervals can have told it");
      assert.ok(typeof done === "object" && done !== null && "status" in done && "attempt" in done);
      assert.deepEqual([done.status, done.attempt], ["completed", 1]);
      const shown = await output(["config", "show", "--json", "--data-dir", one], folder.path, env);
      assert.match(shown.text, /postgres:\/\//);
      const submitted = await output(
        ["submit", "echo", "{}", "--wait", "--timeout", "20s", "--node", a.mcp, "--json"],
        folder.path,
        {},
      );
      assert.equal(submitted.code, 0, submitted.text);
      const said = [a.stderr(), b.stderr(), shown.text, submitted.text].join("\n");
      for (const secret of [server?.password ?? "", encodeURIComponent(server?.password ?? "")]) {
        assert.ok(secret.length > 5 && !said.includes(secret), "the password is shown or logged");
      }
    } finally {
      await Promise.all([a.stop(), b.stop()]);
    }
  });

  it("say in one line that the server cannot be reached, without the password", async () => {
    using folder = temporaryFolder();
    const gone = server?.tcpUrl("x", "wr0ng-password", 1) ?? "";
    const { code, text } = await output(
      ["serve", "--no-p2p", "--port", "0", "--data-dir", join(folder.path, "n")],
      folder.path,
      { MCPP_STORE: gone },
    );
    assert.notEqual(code, 0);
    assert.match(text, /127\.0\.0\.1:1/);
    assert.ok(!text.includes("wr0ng"), text);
    const slip = await output(["serve", "--data-dir", join(folder.path, "n")], folder.path, {
      MCPP_STORE: "postgress://u:wr0ng@h/d",
    });
    assert.match(slip.text, /MCPP_STORE.*postgres:\/\/user@host\/database/s);
    assert.ok(!slip.text.includes("wr0ng"), slip.text);
  });
});
