/** How fast the command and a node start, and what a node costs that does nothing, and one with many peers. */
import * as z from "zod";
import { startChild } from "../shared/child.ts";
import type { Figure, Suite, SuiteOptions } from "../shared/figure.ts";
import { temporaryFolder } from "../shared/folder.ts";
import { type RunningNode, startNode, timeMcpp, type Way, waysToStart } from "../shared/mcpp.ts";
import { cpuMsOf, rssBytesOf } from "../shared/proc.ts";
import { median } from "../shared/rounds.ts";

const MEGABYTE = 1e6;
const KILOBYTE = 1e3;
/** What an idle node does in bursts shows within this. */
const IDLE_MS = 20_000;
/** Memory of a start that is given back by itself is gone after this. */
const SETTLE_MS = 5000;

/** The suite `start`. */
export const start: Suite = {
  name: "start",
  about: "start, idle node, many peers",
  async run(options) {
    using folder = temporaryFolder();
    const ways = await waysToStart(folder.path);
    const [, installed] = ways;
    const starts = await startFigures(ways, options);
    return [...starts, ...(await nodeFigures(installed, options))];
  },
};

async function startFigures(ways: readonly Way[], { quick }: SuiteOptions): Promise<Figure[]> {
  using folder = temporaryFolder();
  const help = ways.map((): number[] => []);
  const ready = ways.map((): number[] => []);
  const bare: number[] = [];
  for (let round = 0; round <= (quick ? 3 : 9); round++) {
    bare.push(await timeMcpp(["-e", "0"], [], folder.path));
    for (const [i, { name, args }] of ways.entries()) {
      help[i]?.push(await timeMcpp(args, ["--help"], folder.path));
      await using node = await startNode(args, folder.file(name));
      ready[i]?.push(node.readyMs);
    }
  }
  const figures: Figure[] = [{ name: "node -e 0", value: median(bare.slice(1)), unit: "ms" }];
  for (const [i, { name }] of ways.entries()) {
    const isPackage = name === "package";
    // The first of each fills the compile cache.
    figures.push(
      {
        name: `mcpp --help, from ${name}`,
        value: median(help[i]?.slice(1) ?? []),
        unit: "ms",
        goal: isPackage ? { atMost: 150 } : undefined,
      },
      {
        name: `node ready, from ${name}`,
        value: median(ready[i]?.slice(1) ?? []),
        unit: "ms",
        goal: isPackage ? { atMost: 1000 } : undefined,
      },
    );
  }
  return figures;
}

async function nodeFigures({ args }: Way, { quick }: SuiteOptions): Promise<Figure[]> {
  using folder = temporaryFolder();
  await using node = await startNode(args, folder.path);
  await pause(SETTLE_MS);
  const idleMs = quick ? SETTLE_MS : IDLE_MS;
  const cpuBefore = cpuMsOf(node.pid);
  await pause(idleMs);
  const idleCpu = ((cpuMsOf(node.pid) - cpuBefore) / idleMs) * 100;
  const idleRss = rssBytesOf(node.pid);
  const peers = quick ? 100 : 1000;
  const ours = await crowdFigures(node, peers);
  const bare = await bareGrowth(peers);
  const growth = ours[0]?.value;
  return [
    { name: "idle node, from package", value: idleRss / MEGABYTE, unit: "MB", goal: { atMost: 150 } },
    { name: "idle node, from package", value: idleCpu, unit: "% CPU", goal: { atMost: 1 } },
    ...ours,
    { name: "growth for each peer of a bare libp2p node", value: bare, unit: "KB" },
    {
      name: "growth for each peer ÷ bare libp2p",
      value: growth === undefined ? undefined : growth / bare,
      unit: "×",
    },
  ];
}

/** The same crowd at a node that serves nothing, in KB for each peer. */
async function bareGrowth(peers: number): Promise<number> {
  await using bare = await startChild(new URL("../contestants/p2p-bare.ts", import.meta.url));
  const multiaddr = await bare.ask("address", undefined, z.string());
  const [growth] = await crowdFigures({ pid: bare.pid, multiaddr }, peers);
  return growth?.value ?? Number.NaN;
}

async function crowdFigures(node: Pick<RunningNode, "pid" | "multiaddr">, peers: number): Promise<Figure[]> {
  await using crowd = await startChild(new URL("../contestants/crowd.ts", import.meta.url));
  const order = (count: number): object => ({ address: node.multiaddr, peers: count });
  // The first few bring in code and buffers that all share.
  const few = Math.round(peers / 20);
  await crowd.ask("gather", order(few), z.number());
  await pause(SETTLE_MS);
  const rssBefore = rssBytesOf(node.pid);
  const cpuBefore = cpuMsOf(node.pid);
  const connected = await crowd.ask("gather", order(peers), z.number());
  const cpu = cpuMsOf(node.pid) - cpuBefore;
  await pause(SETTLE_MS);
  const growth = (rssBytesOf(node.pid) - rssBefore) / (peers - few);
  const usable = await crowd.ask("usable", node.multiaddr, z.number());
  return [
    {
      name: `growth for each of ${peers} connected peers`,
      value: growth / KILOBYTE,
      unit: "KB",
      // With few peers the pages that all share weigh too much.
      goal: peers >= 1000 ? { atMost: 200 } : undefined,
    },
    {
      name: "peers connected ÷ peers that dialled",
      value: connected / peers,
      unit: "×",
      goal: { atLeast: 1 },
    },
    { name: "peers answered ÷ peers that dialled", value: usable / peers, unit: "×", goal: { atLeast: 1 } },
    { name: "CPU to take one peer in", value: cpu / (peers - few), unit: "ms" },
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
