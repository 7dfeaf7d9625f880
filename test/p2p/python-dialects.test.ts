import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isJsonObject, type JsonObject } from "../../src/content/json.ts";
import { ToolNotFoundError } from "../../src/errors.ts";
import { addressOf, until, withHosts } from "./hosts.ts";
import { oldServer } from "./old-peer.ts";
import { rawPeer } from "./raw-peer.ts";

const LIMIT = { timeout: 30_000 };
const TOKEN = "a-secret-of-at-least-thirty-two-characters";

const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { clientInfo: { name: "python" }, profiles: ["mcp++/p2p-transport"] },
};
const callTool = (id: number, name: string, args: object): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args },
});
const shout = async (name: string, args: JsonObject): Promise<JsonObject> => {
  if (name !== "shout") throw new ToolNotFoundError(name);
  return { ok: true, tool: name, result: { said: args["text"] } };
};

function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((one, key) => (isJsonObject(one) ? one[key] : undefined), value);
}

describe("a Python peer on the MCP protocol (PY-1)", LIMIT, () => {
  it("is answered its initialize, and its queue messages as a tool", () =>
    withHosts(async (open, nursery) => {
      const { host } = await oldServer(open, nursery, { callTool: shout, toolNames: () => ["shout"] });
      await using peer = await rawPeer();
      const raw = await peer.open(addressOf(host));

      raw.send(INITIALIZE, { jsonrpc: "2.0", method: "notifications/initialized" });
      raw.send({ jsonrpc: "2.0", id: 2, method: "tools/list" });
      raw.send(callTool(3, "task_queue.rpc", { op: "submit", task_type: "t", payload: { n: 1 } }));
      raw.send(callTool(4, "shout", { text: "hi" }), callTool(5, "nothing", {}));
      raw.send({ jsonrpc: "2.0", id: 6, method: "prompts/list" });
      await until(() => raw.messages.length === 6);

      const byId = new Map(raw.messages.map((message) => [message["id"], message]));
      assert.equal(at(byId.get(1), "result", "protocolVersion"), "2024-11-05");
      assert.equal(at(byId.get(1), "result", "ok"), true);
      assert.equal(at(byId.get(1), "result", "limits", "max_frame_bytes"), 16 * 1024 * 1024);
      const tools = at(byId.get(2), "result", "tools");
      assert.ok(Array.isArray(tools));
      assert.deepEqual(
        tools.map((tool: unknown) => at(tool, "name")),
        ["task_queue.rpc", "shout"],
      );
      assert.equal(at(byId.get(3), "result", "content", "ok"), true);
      assert.match(String(at(byId.get(3), "result", "content", "task_id")), /^[0-9a-f]{32}$/);
      assert.deepEqual(at(byId.get(4), "result"), { content: { said: "hi" } });
      assert.deepEqual(at(byId.get(5), "error"), { code: -32002, message: "unknown_tool" });
      assert.equal(at(byId.get(6), "error", "code"), -32601);
    }));

  it("is a stranger until its message shows the token", () =>
    withHosts(async (open, nursery) => {
      const tools = { callTool: shout, toolNames: () => ["shout"] };
      const { host } = await oldServer(open, nursery, tools, { sharedToken: TOKEN, trustLoopback: false });
      await using peer = await rawPeer();
      const raw = await peer.open(addressOf(host));

      raw.send(INITIALIZE, { jsonrpc: "2.0", id: 2, method: "tools/list" });
      raw.send(callTool(3, "task_queue.rpc", { op: "list" }), callTool(4, "shout", { text: "hi" }));
      await until(() => raw.messages.length === 4);
      raw.send(callTool(5, "task_queue.rpc", { op: "list", token: TOKEN }));
      raw.send(callTool(6, "shout", { text: "hi", token: TOKEN }));
      await until(() => raw.messages.length === 6);

      const byId = new Map(raw.messages.map((message) => [message["id"], message]));
      assert.equal(JSON.stringify(byId.get(2)).includes("shout"), false);
      assert.equal(at(byId.get(3), "result", "content", "error"), "unauthorized");
      assert.equal(at(byId.get(4), "error", "code"), -32001);
      assert.deepEqual(at(byId.get(5), "result", "content", "tasks"), []);
      assert.deepEqual(at(byId.get(6), "result", "content"), { said: "hi" });
    }));

  it("does not change what an MCP client's initialize means", () =>
    withHosts(async (open, nursery) => {
      const heard: unknown[] = [];
      const onMcp = (channel: { onMessage: unknown }): void => {
        channel.onMessage = (message: JsonObject) => heard.push(message["method"]);
      };
      const { host } = await oldServer(open, nursery, {}, { onMcp });
      await using peer = await rawPeer();
      const raw = await peer.open(addressOf(host));
      const params = {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "c", version: "1" },
      };

      raw.send({ jsonrpc: "2.0", id: 1, method: "initialize", params });
      raw.send({ jsonrpc: "2.0", id: 2, method: "tools/list" });
      await until(() => heard.length === 2);

      assert.deepEqual(heard, ["initialize", "tools/list"]);
    }));
});

describe("a P2PMessage (PY-2)", LIMIT, () => {
  it("is answered in kind, and the stream ends", () =>
    withHosts(async (open, nursery) => {
      const { host } = await oldServer(open, nursery, { callTool: shout });
      await using peer = await rawPeer();
      const request = { type: "request", params: { text: "é" }, result: null, error: null, sender: "x" };
      const [tool, rpc, none] = await Promise.all(
        ["shout", "task_queue.rpc", "nothing"].map(async (method) => {
          const raw = await peer.open(addressOf(host));
          const params = method === "task_queue.rpc" ? { op: "status" } : request.params;
          raw.send({ ...request, method, id: `${method}_1`, params, timestamp: 1.5 });
          await until(() => raw.messages.length === 1 && raw.stream.readableEnded);
          return raw.messages[0];
        }),
      );

      const { timestamp, ...rest } = tool ?? {};
      assert.equal(typeof timestamp, "number");
      const common = { type: "response", params: {}, sender: host.peerId };
      const said = { method: "shout", id: "shout_1", result: { said: "é" }, error: null };
      assert.deepEqual(rest, { ...common, ...said });
      assert.equal(at(rpc, "result", "ok"), true);
      assert.equal(none?.["error"], "unknown_tool");
      assert.equal(none["result"], null);
    }));
});
