/** Calls between peers on loopback, two processes, against echoes that do nothing else. */
import * as z from "zod";
import { type Child, startChild } from "../shared/child.ts";
import type { Figure, Suite } from "../shared/figure.ts";
import { temporaryFolder } from "../shared/folder.ts";
import { type Measure, type Rounds, takeTurns } from "../shared/rounds.ts";
import { cpuPerCall, p50, p99, perSecond, sampleSchema, timesOf } from "../shared/sample.ts";

const IN_FLIGHT = 64;
const KINDS = {
  ours: "call",
  raw: "raw libp2p echo",
  tcp: "raw TCP echo",
  stream: "new stream per call",
} as const;

const contestant = (name: string): URL => new URL(`../contestants/${name}`, import.meta.url);

/** The suite `p2p`. */
export const p2p: Suite = {
  name: "p2p",
  about: "calls to a peer over a kept stream, and the news of a completion",
  async run({ quick }) {
    using folder = temporaryFolder();
    await using server = await startChild(contestant("p2p-server.ts"), [folder.file("queue.db")]);
    await using client = await startChild(contestant("p2p-client.ts"));
    await client.ask("open", await server.ask("addresses", undefined, z.unknown()), z.unknown());
    const rounds = await takeTurns(measures(server, client, quick ? 300 : 1000), quick ? 3 : 9);
    return [...callFigures(rounds), ...(await newsFigures(server, client, quick ? 100 : 1000))];
  },
};

function measures(server: Child, client: Child, ms: number): ReadonlyMap<string, Measure> {
  const all = new Map<string, Measure>();
  for (const lanes of [1, IN_FLIGHT]) {
    for (const kind of Object.keys(KINDS)) {
      all.set(`${kind} ${lanes}`, async () => {
        const before = await server.cpuUs();
        const sample = await client.ask("measure", { kind, load: { lanes, ms } }, sampleSchema);
        // Both ends together: which of them a millisecond was spent at does not matter.
        return { ...sample, cpuUs: sample.cpuUs + (await server.cpuUs()) - before };
      });
    }
  }
  return all;
}

function callFigures(rounds: Rounds): Figure[] {
  const wide = String(IN_FLIGHT);
  const figures: Figure[] = [
    {
      name: "p50 of a call ÷ raw libp2p echo, one after the other",
      value: rounds.ratio("ours 1", "raw 1", p50),
      unit: "×",
      goal: { atMost: 1.3 },
    },
    {
      name: `calls ÷ raw libp2p echo, ${wide} in flight`,
      value: rounds.ratio(`ours ${wide}`, `raw ${wide}`, perSecond),
      unit: "×",
      goal: { atLeast: 0.5 },
    },
    {
      name: `calls ÷ new stream per call, ${wide} in flight`,
      value: rounds.ratio(`ours ${wide}`, `stream ${wide}`, perSecond),
      unit: "×",
      goal: { atLeast: 20 },
    },
    {
      name: `CPU of a call ÷ raw libp2p echo, ${wide} in flight`,
      value: rounds.ratio(`ours ${wide}`, `raw ${wide}`, cpuPerCall),
      unit: "×",
    },
    {
      name: `calls ÷ raw TCP echo, ${wide} in flight`,
      value: rounds.ratio(`ours ${wide}`, `tcp ${wide}`, perSecond),
      unit: "×",
    },
  ];
  for (const lanes of [1, IN_FLIGHT]) {
    for (const [kind, name] of Object.entries(KINDS)) {
      const key = `${kind} ${lanes}`;
      const what = `${name}, ${lanes} in flight`;
      figures.push(
        { name: what, value: rounds.of(key, perSecond), unit: "/s" },
        { name: `p50 of ${what}`, value: rounds.of(key, p50), unit: "ms" },
        { name: `p99 of ${what}`, value: rounds.of(key, p99), unit: "ms" },
        { name: `${what}, both ends`, value: rounds.of(key, cpuPerCall), unit: "µs CPU" },
      );
    }
  }
  return figures;
}

const completed = z.object({ calledAtMs: z.number(), doneAtMs: z.number() });

/** How long after a worker's `complete` a peer that waits for the task knows. */
async function newsFigures(server: Child, client: Child, count: number): Promise<Figure[]> {
  const fromCall: number[] = [];
  const fromDisk: number[] = [];
  for (let i = 0; i < count; i++) {
    const taskId = await server.ask("submit", undefined, z.string());
    await client.ask("wait", taskId, z.unknown());
    const { calledAtMs, doneAtMs } = await server.ask("complete", taskId, completed);
    const toldAtMs = await client.ask("told", undefined, z.number());
    fromCall.push(toldAtMs - calledAtMs);
    fromDisk.push(toldAtMs - doneAtMs);
  }
  const call = timesOf(fromCall);
  const disk = timesOf(fromDisk);
  return [
    {
      name: "completion on disk → waiting peer told, p99",
      value: disk.p99Ms,
      unit: "ms",
      goal: { atMost: 10 },
    },
    { name: "completion on disk → waiting peer told, p50", value: disk.p50Ms, unit: "ms" },
    { name: "complete() called → waiting peer told, fsync included, p50", value: call.p50Ms, unit: "ms" },
    { name: "complete() called → waiting peer told, fsync included, p99", value: call.p99Ms, unit: "ms" },
  ];
}
