/** Small MCP servers as processes, and what tests need to watch them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../../../src/clock.ts";
import { type Logger, silentLogger } from "../../../src/logger.ts";
import type { Nursery } from "../../../src/nursery/index.ts";
import {
  type ChildTransport,
  childTransport,
  type ChildTransportOptions,
} from "../../../src/transport/child.ts";

/** The script of the server with the tools that tests need. */
export const TOOLS_SERVER: string = join(import.meta.dirname, "tools.mjs");

/** The real reference server. */
export const EVERYTHING_SERVER: string = join(
  import.meta.dirname,
  "../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);

/** What a test's child needs of our environment. */
export const ENVIRONMENT: Readonly<Record<string, string>> = { PATH: process.env["PATH"] ?? "" };

/** A transport to the tools server, started with `flags`. */
export function toolsServer(
  nursery: Nursery,
  flags: readonly string[] = [],
  more: Partial<ChildTransportOptions> = {},
): ChildTransport {
  return childTransport({
    command: process.execPath,
    args: [TOOLS_SERVER, ...flags],
    env: ENVIRONMENT,
    nursery,
    clock: systemClock,
    logger: silentLogger,
    ...more,
  });
}

/** Whether a process runs; a zombie does not. */
export function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !"ZX".includes(stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3));
  } catch {
    return false;
  }
}

/** Looks at a condition that no event tells of, until it holds. Fails after `limitMs`. */
export async function until(condition: () => boolean, limitMs = 10_000): Promise<void> {
  const endsAt = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > endsAt) throw new Error(`not so within ${limitMs} ms: ${condition.toString()}`);
    await delay(10);
  }
}

/** A logger that keeps its lines. */
export function keepingLogger(): {
  readonly logger: Logger;
  readonly lines: { readonly message: string; readonly facts: object }[];
} {
  const lines: { message: string; facts: object }[] = [];
  const keep = (facts: object, message: string): void => {
    lines.push({ message, facts });
  };
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep, child: () => logger };
  return { logger, lines };
}
