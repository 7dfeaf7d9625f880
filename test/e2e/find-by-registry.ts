/** Nodes that know nothing of each other but a registry on GitHub Issues. */
import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import { GithubServer } from "../support/github-api.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";

const NODES = 10;
/** What the product promises, from the moment at which the last node is ready. */
const LIMIT_MS = 10_000;
/** How often a node is asked whom it knows. */
const ASK_EVERY_MS = 100;

const listSchema = z.object({ peers: z.array(z.object({ peer_id: z.string(), method: z.string() })) });

/** Waits until a node lists all the others, and nobody else. */
async function untilItSees(node: NodeProcess, all: readonly NodeProcess[]): Promise<void> {
  const others = all.filter((other) => other !== node).map(({ peer_id: peerId }) => peerId);
  await using client = await connect(node.mcp);
  for (;;) {
    const { peers } = listSchema.parse(await client.call("list_peers", {}));
    // One that found this node first has connected to it.
    const methods = new Set(peers.map(({ method }) => method));
    assert.deepEqual(
      [...methods].filter((method) => !["github-issues", "inbound"].includes(method)),
      [],
    );
    if (peers.length >= others.length) {
      assert.deepEqual(peers.map(({ peer_id: peerId }) => peerId).toSorted(), others.toSorted());
      return;
    }
    await new Promise<void>((resolve) => void setTimeout(resolve, ASK_EVERY_MS));
  }
}

describe("nodes with a registry on GitHub Issues as their only hint", () => {
  it(
    "all know all within ten seconds, in one issue, and leave nothing behind",
    { timeout: 240_000 },
    async (test) => {
      await using github = await GithubServer.open();
      github.addToken("ghp_test", "team");
      using folder = temporaryFolder();
      const token = join(folder.path, "token");
      await writeFile(token, "ghp_test\n", { mode: 0o600 });
      const api = [
        "--github-registry",
        github.repository,
        "--github-api",
        github.url,
        "--github-token-file",
        token,
      ];
      const args = [...api, "--github-local-addresses", "--github-refresh", "1s", "--workers", "0"];
      const nodes: NodeProcess[] = [];
      const start = async (name: number): Promise<void> => {
        nodes.push(await startNode(join(folder.path, String(name)), args));
      };
      try {
        // Two at a time: a start is mostly computing, for which ten at once would only wait for each other.
        for (let i = 0; i < NODES; i += 2) await Promise.all([start(i), start(i + 1)]);
        const readyAt = performance.now();
        await Promise.all(nodes.map((node) => untilItSees(node, nodes)));
        const tookMs = performance.now() - readyAt;
        assert.equal(new Set(github.comments.map(({ issue }) => issue)).size, 1);
        test.diagnostic(`${NODES} nodes knew each other ${Math.round(tookMs)} ms after the last was ready`);
        assert.ok(tookMs < LIMIT_MS, `${Math.round(tookMs)} ms`);
        assert.equal(github.issues.filter(({ state }) => state === "open").length, 1);
        const [one, other] = nodes;
        assert.ok(one && other);
        // Found is one thing, reached and authenticated another.
        await using client = await connect(one.mcp);
        const status = await client.call("p2p_taskqueue_status", { remote_peer_id: other.peer_id });
        assert.equal(status["peer_id"], other.peer_id);
      } finally {
        await Promise.all(nodes.map((node) => node.stop()));
      }
      assert.deepEqual(github.comments, []);
      const logs = nodes.map((node) => node.stderr()).join("");
      assert.ok(!logs.includes("ghp_test"));
      assert.deepEqual((await readdir(folder.path)).length, NODES + 1);
    },
  );
});
