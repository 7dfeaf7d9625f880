/** Ten nodes in processes of their own that share nothing but one hint: soon all know all. */
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { connect } from "../../src/connect.ts";
import { type NodeProcess, startNode, temporaryFolder } from "../support/node-process.ts";

const NODES = 10;
/** The promise, for a machine that is not busy with other things. */
const FOUND_WITHIN_MS = 10_000;
/** How long the test waits before it gives up. */
const LIMIT_MS = 60_000;
/** More at once only take the processor from each other. */
const STARTS_AT_ONCE = 3;
const POLL_MS = 200;
/** Each looks for the others by itself, and keeps nothing on disk. */
const COMMON = ["--announce-file", "off", "--store", "memory", "--work-for", "discovered"];

const listSchema = z.object({ peers: z.array(z.object({ peer_id: z.string() })) });

/** Starts all, the first alone since the others need its address. */
async function startAll(
  folder: string,
  first: readonly string[],
  others: (entry: string) => readonly string[],
  nodes: NodeProcess[],
): Promise<void> {
  const start = async (index: number, args: readonly string[]): Promise<void> => {
    const own = join(folder, String(index));
    mkdirSync(own);
    nodes.push(await startNode(own, [...COMMON, ...args]));
  };
  await start(0, first);
  const args = others(nodes[0]?.multiaddrs[0] ?? "");
  const waiting = Array.from({ length: NODES - 1 }, (_, index) => index + 1);
  const startSome = async (): Promise<void> => {
    for (let index = waiting.shift(); index !== undefined; index = waiting.shift()) await start(index, args);
  };
  await Promise.all(Array.from({ length: STARTS_AT_ONCE }, startSome));
}

/** Asks each node until it lists all others. @returns how long that took, in milliseconds */
async function allKnowAll(nodes: readonly NodeProcess[]): Promise<number> {
  const startedAt = performance.now();
  const ids = nodes.map(({ peer_id }) => peer_id);
  await Promise.all(
    nodes.map(async (node) => {
      await using client = await connect(node.mcp);
      const others = ids.filter((id) => id !== node.peer_id);
      for (;;) {
        const { structuredContent } = await client.callTool("list_peers", { limit: 100 });
        const listed = new Set(listSchema.parse(structuredContent).peers.map(({ peer_id }) => peer_id));
        const missing = others.filter((id) => !listed.has(id));
        if (missing.length === 0) return;
        const sinceMs = performance.now() - startedAt;
        if (sinceMs > LIMIT_MS)
          assert.fail(`${node.peer_id} does not know ${missing.join(", ")}\n${node.stderr()}`);
        await sleep(POLL_MS);
      }
    }),
  );
  return performance.now() - startedAt;
}

describe(`${NODES} nodes`, () => {
  const ways: readonly {
    readonly name: string;
    readonly first: readonly string[];
    readonly others: (entry: string) => readonly string[];
  }[] = [
    {
      name: "one rendezvous node",
      first: ["--rendezvous-server"],
      others: (entry) => ["--rendezvous", entry],
    },
    {
      name: "the DHT",
      first: ["--dht", "private"],
      others: (entry) => ["--dht", "private", "--dht-bootstrap", entry],
    },
  ];
  for (const { name, first, others } of ways) {
    it(`all know all by ${name} only`, { timeout: 300_000 }, async (t) => {
      using folder = temporaryFolder();
      const busy = (loadavg()[0] ?? 0) > availableParallelism();
      const nodes: NodeProcess[] = [];
      try {
        await startAll(folder.path, first, others, nodes);
        const tookMs = await allKnowAll(nodes);
        t.diagnostic(`all knew all ${Math.round(tookMs)} ms after the last one was ready`);
        if (busy) t.diagnostic("the machine was busy with other things, so the time is not judged");
        else assert.ok(tookMs <= FOUND_WITHIN_MS, `it took ${Math.round(tookMs)} ms`);
      } finally {
        await Promise.all(nodes.map((node) => node.kill()));
      }
    });
  }
});
