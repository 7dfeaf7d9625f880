/** What the Python client sends for each of its functions, and what ours sends for the same intent. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as z from "zod";
import { remoteCache } from "../../../src/cache/remote.ts";
import { type JsonObject, jsonObject } from "../../../src/content/json.ts";
import { nodeStatus } from "../../../src/peer/methods.ts";
import type { PeerTarget, RpcClient } from "../../../src/peer/rpc.ts";
import { newIdentity, peerIdOf } from "../../../src/p2p/index.ts";
import { taskMethods } from "../../../src/task/methods.ts";
import { remoteQueue } from "../../../src/task/remote.ts";
import { withHosts } from "../hosts.ts";
import { lineServer } from "./servers.ts";

const fixture = z.object({
  rows: z.array(
    z.object({
      call: z.string(),
      server_answers: jsonObject,
      sent: z.array(z.object({ raw: z.string() })),
      returns: z.unknown().optional(),
      raises: z.string().optional(),
    }),
  ),
});

const path = new URL("../../vectors/client_requests.json", import.meta.url);
const { rows } = fixture.parse(JSON.parse(readFileSync(path, "utf8")));

const TEN_SECONDS = { timeoutMs: 10_000 };

/** One intent: what is called here, what it gives, and where our request differs on purpose. */
interface Intent {
  readonly call: (rpc: RpcClient, target: PeerTarget, sent: JsonObject) => Promise<unknown>;
  readonly gives?: unknown;
  readonly refusedWith?: string;
  /** Members of our request that are not as recorded; docs/reference/old-peers.md says why. */
  readonly differs?: (request: JsonObject) => JsonObject;
}

const status: Intent["call"] = (rpc, target) => rpc.call(target, nodeStatus, { detail: false }, TEN_SECONDS);
const submitAs: Intent["call"] = async (rpc, target, { task_type, model_name, payload }) => {
  const task = { type: String(task_type), modelName: String(model_name), payload: jsonObject.parse(payload) };
  const [receipt] = await remoteQueue(rpc, target).submit([task]);
  return receipt?.taskId;
};
/** The Python default of ten seconds; a cache of ours has the default of all calls. */
const defaultTime = (request: JsonObject): JsonObject => ({ ...request, timeout_s: 20 });

const INTENTS: Readonly<Record<string, Intent>> = {
  'submit_task(task_type="t",model_name="m",payload={"a":"é"})': { call: submitAs, gives: "abc" },
  "submit_task refused": { call: submitAs, refusedWith: "E_DENIED" },
  "submit_docker_hub_task full": { call: submitAs, gives: "d1" },
  submit_docker_github_task: { call: submitAs, gives: "d2" },
  "claim_next full": {
    async call(rpc, target) {
      const [claimed] = await remoteQueue(rpc, target).claim({ workerId: "w", types: ["a"] });
      return claimed && { task_id: claimed.lease.taskId };
    },
    gives: { task_id: "x" },
    differs: (request) => ({ ...request, peer_id: "own", clock: null }),
  },
  list_tasks: {
    call: (rpc, target) => remoteQueue(rpc, target).list({ state: "queued", limit: 5, types: ["a"] }),
    gives: { tasks: [] },
  },
  complete_task: {
    call: (rpc, target) => remoteQueue(rpc, target).complete({ taskId: "x", token: 1 }, { a: 1 }),
  },
  wait_task: {
    call: (rpc, target) => rpc.call(target, taskMethods.wait, { taskId: "x", timeoutMs: 5000 }),
    refusedWith: "E_TASK_NOT_FOUND",
  },
  get_capabilities: { call: status, gives: { ok: true, capabilities: { task_types: ["a"] } } },
  cache_get: { call: (rpc, target) => remoteCache(rpc, target).get("k"), differs: defaultTime },
  "cache_set no ttl": {
    call: (rpc, target) => remoteCache(rpc, target).set("k", { a: 1 }),
    gives: 0,
    differs: defaultTime,
  },
  cache_delete: {
    call: (rpc, target) => remoteCache(rpc, target).delete("k"),
    gives: false,
    differs: defaultTime,
  },
  "status, xdg announce file": { call: status, gives: { ok: true } },
  "status, env announce file wins": { call: status, gives: { ok: true } },
  "first bootstrap refuses, second answers": { call: status, gives: { ok: true } },
};

/**
 * The intents that find nobody: the peer is wanted by its id, another one is announced, and no further mechanism is on. The
 * original says `mdns_disabled` then, whatever happened before (contract 3.3); ours says what was tried.
 */
async function withNobody(call: string): Promise<void> {
  assert.match(call, /^(status for a given peer id|bootstrap dial disabled|discover_status)/);
  await withHosts(async (open) => {
    const [announced, wanted] = [await open(), peerIdOf(await newIdentity())];
    const announcement = {
      peerId: announced.peerId,
      multiaddrs: announced.multiaddrs(),
      method: "announce-file",
    };
    const asked: (string | undefined)[] = [];
    const host = await open({
      discoveries: [
        {
          name: "announce-file",
          find: (peerId) => Promise.resolve(asked.push(peerId) > 0 ? [announcement] : []),
        },
      ],
    });

    const answer = host.rpc.call({ peerId: wanted }, nodeStatus, { detail: false }, TEN_SECONDS);

    await assert.rejects(answer, { code: "E_UNREACHABLE" });
    assert.deepEqual(asked, [wanted]);
    assert.equal(announced.stats().connections, 0);
    const { trace } = await host.examine({ peerId: wanted });
    assert.deepEqual(
      trace.mechanisms.map(({ mechanism, outcome }) => [mechanism, outcome]),
      [["announce-file", "unreachable"]],
    );
  });
}

describe("the requests of the Python client", { timeout: 60_000 }, () => {
  for (const { call, server_answers: answer, sent } of rows) {
    const [line] = sent;
    if (line === undefined) {
      it(`send nothing to anybody else where nobody is found: ${call}`, () => withNobody(call));
      continue;
    }
    it(`are ours too: ${call}`, () =>
      withHosts(async (open) => {
        const intent = INTENTS[call];
        assert.ok(intent, "every recorded request has its intent here");
        await using server = await lineServer(() => answer);
        const host = await open();
        const recorded = jsonObject.parse(JSON.parse(line.raw));
        const target = { multiaddr: server.address };

        const given = intent.call(host.rpc, target, recorded);
        if (intent.refusedWith !== undefined) await assert.rejects(given, { code: intent.refusedWith });
        else assert.deepEqual(await given, intent.gives);

        const expected = intent.differs?.(recorded) ?? recorded;
        const own = expected["peer_id"] === "own" ? { peer_id: host.peerId } : {};
        assert.deepEqual(server.requests, [{ ...expected, ...own }]);
        assert.deepEqual(
          Object.keys(server.requests[0] ?? {}),
          Object.keys(recorded),
          "in the recorded order",
        );
      }));
  }

  it("end with the token, where it may be sent", () =>
    withHosts(async (open) => {
      const sharedToken = "0123456789abcdef0123456789abcdef";
      await using server = await lineServer(() => ({ ok: true }));
      const host = await open({ sharedToken, sendTokenToOldPeers: true });

      await host.rpc.call({ multiaddr: server.address }, nodeStatus, { detail: false }, TEN_SECONDS);

      const expected = { op: "status", timeout_s: 10, detail: false, token: sharedToken };
      assert.deepEqual(JSON.parse(server.lines[0] ?? ""), expected);
      assert.equal(Object.keys(server.requests[0] ?? {}).at(-1), "token");
    }));
});
