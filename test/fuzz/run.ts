/** One fuzzing run against one face. */
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import * as z from "zod";
import { seeded } from "../support/random.ts";
import type { Addresses, Face } from "./face.ts";

/** What the process that is fuzzed says of itself. */
export interface Report {
  /** The longest that its own work kept its event loop, in milliseconds. */
  readonly stallMs: number;
  /** The longest delay of its event loop, also where another process had the processor. */
  readonly delayMs: number;
  readonly rssBytes: number;
  /** After a collection. */
  readonly heapBytes: number;
  readonly tasks: number;
}

/** How a run is to be. */
export interface RunOptions {
  readonly face: Face;
  readonly messages: number;
  readonly seed: number;
}

/** What a run was like. */
export interface Outcome {
  readonly messages: number;
  readonly seconds: number;
  readonly worstStallMs: number;
  readonly worstDelayMs: number;
  /** From the end of the warm-up to the end. */
  readonly heapGrowthBytes: number;
  readonly rssGrowthBytes: number;
}

/** Connections at a time. */
const LANES = 4;
/** Messages between two looks at the victim. */
const ROUND = 8000;
/** The share of a run after which memory must not grow any more. */
const WARM_UP = 0.3;

const addressesSchema: z.ZodType<Addresses> = z.object({
  http: z.string(),
  p2p: z.string(),
  linesPort: z.int(),
});
const reportSchema: z.ZodType<Report> = z.object({
  stallMs: z.number(),
  delayMs: z.number(),
  rssBytes: z.number(),
  heapBytes: z.number(),
  tasks: z.int(),
});

/** Fuzzes a process of its own. Rejects if that process ends, or does not answer a sensible question any more. */
export async function fuzz({ face, messages, seed }: RunOptions): Promise<Outcome> {
  const startedAtMs = performance.now();
  const { child, said } = startVictim();
  try {
    const addresses = addressesSchema.parse(await said());
    await using attack = await face.open(addresses);
    const ask = async (): Promise<Report> => {
      const answer = await attack.probe();
      if (!answer.includes(face.probeSeen)) {
        // If it has ended, that it did says more than that it is silent.
        const { exitCode, signalCode } = child;
        if (exitCode !== null || signalCode !== null) await said();
        assert.fail(
          `a sensible question is not answered any more after ${sent} messages, but: ${answer.slice(0, 200)}`,
        );
      }
      child.send("rest");
      return reportSchema.parse(await said());
    };
    const reports: Report[] = [];
    const round = Math.min(ROUND, Math.ceil(messages / 5));
    let warm: Report | undefined;
    let sent = 0;
    while (sent < messages) {
      sent += await sendRound(
        face,
        (random, count) => attack.send(random, count),
        Math.min(round, messages - sent),
        seed + sent,
      );
      const report = await ask();
      reports.push(report);
      if (!warm && sent >= messages * WARM_UP) warm = report;
    }
    const last = reports.at(-1);
    return {
      messages: sent,
      seconds: (performance.now() - startedAtMs) / 1000,
      worstStallMs: Math.max(...reports.map((report) => report.stallMs)),
      worstDelayMs: Math.max(...reports.map((report) => report.delayMs)),
      heapGrowthBytes: (last?.heapBytes ?? 0) - (warm?.heapBytes ?? 0),
      rssGrowthBytes: (last?.rssBytes ?? 0) - (warm?.rssBytes ?? 0),
    };
  } finally {
    child.kill("SIGKILL");
  }
}

/** @returns how many were sent */
async function sendRound(
  face: Face,
  send: (random: ReturnType<typeof seeded>, messages: number) => Promise<void>,
  messages: number,
  seed: number,
): Promise<number> {
  const connections = Math.ceil(messages / face.perConnection);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < connections) {
      const own = seed * 31 + next;
      next += 1;
      await send(seeded(own), face.perConnection);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return connections * face.perConnection;
}

function startVictim(): { readonly child: ChildProcess; readonly said: () => Promise<unknown> } {
  const child = fork(join(import.meta.dirname, "victim.ts"), {
    execArgv: ["--expose-gc", "--no-warnings"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const errors: Buffer[] = [];
  child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
  const gone = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the process ended with ${String(code ?? signal)}:\n${Buffer.concat(errors).toString()}`);
  });
  gone.catch(() => undefined);
  return {
    child,
    said: async () => Promise.race([once(child, "message").then(([message]: unknown[]) => message), gone]),
  };
}
