/** MCP `tools/call` over HTTP, against bare node:http and other servers, by processor time of the server for each call. */
import { existsSync } from "node:fs";
import * as z from "zod";
import { type RequestShape, toolCall } from "../contestants/mcp-echo.ts";
import { type Child, startChild } from "../shared/child.ts";
import type { Figure, Suite } from "../shared/figure.ts";
import { temporaryFolder } from "../shared/folder.ts";
import { type Measure, type Rounds, takeTurns } from "../shared/rounds.ts";
import { cpuPerCall, p50, p99, perSecond, sampleSchema } from "../shared/sample.ts";

const CONNECTIONS = [1, 32, 128];
const GOAL_CONNECTIONS = 32;
const TEXT = "x".repeat(130);

const contestant = (name: string): URL => new URL(`../contestants/${name}`, import.meta.url);
const peer = (name: string): URL => new URL(`../peers/${name}`, import.meta.url);

interface Entrant {
  readonly name: string;
  readonly url: string;
  readonly child: Child;
  readonly shape: RequestShape;
}

/** The suite `mcp`. */
export const mcp: Suite = {
  name: "mcp",
  about: "tools/call over HTTP",
  async run({ quick }) {
    using folder = temporaryFolder();
    await using open = new AsyncDisposableStack();
    const load = open.use(await startChild(contestant("http-load.ts")));
    const echo = { text: TEXT };
    const modern = toolCall("modern", "echo", echo);
    const kinds: readonly { readonly name: string; readonly file: URL; readonly shape: RequestShape }[] = [
      // The node has no echo: an entry of its cache that is not there comes nearest.
      {
        name: "ours",
        file: contestant("mcp-ours.ts"),
        shape: toolCall("modern", "p2p_taskqueue_cache_get", { key: TEXT }),
      },
      { name: "bare node:http", file: contestant("mcp-bare.ts"), shape: modern },
      { name: "SDK handler", file: contestant("mcp-sdk.ts"), shape: modern },
      { name: "mcp-lite", file: peer("mcp-lite.mjs"), shape: toolCall("legacy", "echo", echo) },
    ];
    const entrants: Entrant[] = [];
    for (const { name, file, shape } of kinds) {
      if (name === "mcp-lite" && !existsSync(peer("node_modules"))) continue;
      const child = open.use(await startChild(file, [folder.file("node")]));
      entrants.push({ name, child, shape, url: await child.ask("url", undefined, z.string()) });
    }
    const rounds = await takeTurns(measures(load, entrants, quick ? 400 : 1500), quick ? 2 : 7);
    return figures(
      rounds,
      entrants.map(({ name }) => name),
    );
  },
};

function measures(load: Child, entrants: readonly Entrant[], ms: number): ReadonlyMap<string, Measure> {
  const all = new Map<string, Measure>();
  for (const connections of CONNECTIONS) {
    for (const { name, child, url, shape } of entrants) {
      all.set(`${name} ${connections}`, async () => {
        const before = await child.cpuUs();
        const order = { url, shape, load: { lanes: connections, ms } };
        const sample = await load.ask("run", order, sampleSchema);
        return { ...sample, cpuUs: (await child.cpuUs()) - before };
      });
    }
  }
  return all;
}

function figures(rounds: Rounds, names: readonly string[]): Figure[] {
  const all: Figure[] = [];
  for (const connections of CONNECTIONS) {
    const at = `${connections} connections`;
    const isGoal = connections === GOAL_CONNECTIONS;
    for (const name of names.slice(1)) {
      const bare = name.startsWith("bare");
      const goal = isGoal ? { atMost: bare ? 2 : 1 } : undefined;
      const value = rounds.ratio(`ours ${connections}`, `${name} ${connections}`, cpuPerCall);
      all.push({ name: `CPU of a call ÷ ${name}, ${at}`, value, unit: "×", goal });
    }
    for (const name of names) {
      const key = `${name} ${connections}`;
      all.push(
        { name: `${name}, ${at}`, value: rounds.of(key, cpuPerCall), unit: "µs CPU" },
        { name: `${name}, ${at}`, value: rounds.of(key, perSecond), unit: "/s" },
        { name: `p50 of ${name}, ${at}`, value: rounds.of(key, p50), unit: "ms" },
        { name: `p99 of ${name}, ${at}`, value: rounds.of(key, p99), unit: "ms" },
      );
    }
  }
  return all;
}
