/** Spawned MCP servers: messages, failures, and that nothing of their process trees is left behind. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, describe, it } from "node:test";
import type { Transport } from "@modelcontextprotocol/client";
import { type Connection, openConnection } from "../../src/client/connection.ts";
import { textOf } from "../../src/client/tool.ts";
import { systemClock } from "../../src/clock.ts";
import { hasCode } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import { processStartTime } from "../../src/process.ts";
import { openChildRegistry, reapOrphans } from "../../src/transport/child-registry.ts";
import { childTransport } from "../../src/transport/child.ts";
import { ENVIRONMENT, runs, toolsServer, until } from "../support/servers/index.ts";

let host: NurseryHost;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mcpp-children-"));
});
after(() => rm(folder, { recursive: true, force: true }));
afterEach(() => host.close());

const QUICK = { graceMs: 200 };

function connect(open: () => Transport): Promise<Connection> {
  return openConnection({
    openTransport: async () => open(),
    clientInfo: { name: "test", version: "1" },
    target: "tools",
    logger: silentLogger,
  });
}

async function text(connection: Connection, tool: string, args = {}): Promise<string> {
  return textOf(await connection.callTool(tool, args));
}

function node(script: string): ReturnType<typeof childTransport> {
  const shared = {
    env: ENVIRONMENT,
    nursery: host.nursery,
    clock: systemClock,
    logger: silentLogger,
    ...QUICK,
  };
  return childTransport({ command: process.execPath, args: ["-e", script], ...shared });
}

describe("a spawned server", () => {
  it("answers, in the newest protocol it knows", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery));
    assert.deepEqual((await connection.callTool("echo", { value: [1, "ü"] })).structuredContent, {
      value: [1, "ü"],
    });
    assert.equal(connection.protocolVersion, "2026-07-28");
    await connection.close();
  });

  it("may be old and end at the question for its protocol: it is started again and asked differently", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery, ["--strict"]));
    assert.equal(connection.protocolVersion, "2025-11-25");
    assert.match(await text(connection, "pid"), /^\d+$/);
    await connection.close();
  });

  it("loses no progress that comes in one piece with the result", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery));
    let seen = 0;
    await connection.callTool("count", { to: 200 }, () => seen++);
    assert.equal(seen, 200);
    await connection.close();
  });

  it("may greet on standard output and still be understood", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery, ["--greet"]));
    assert.equal(
      (await connection.listTools()).some((tool) => tool.name === "echo"),
      true,
    );
    await connection.close();
  });

  it("that does not exist is unreachable, and says so", async () => {
    host = openHost();
    const shared = { args: [], nursery: host.nursery, clock: systemClock, logger: silentLogger };
    const open = (): Transport => childTransport({ command: "/nonexistent/server", ...shared });
    await assert.rejects(
      connect(open),
      (error: unknown) => hasCode(error, "E_UNREACHABLE") && /nonexistent/.test(String(error)),
    );
  });

  it("that ends at once is unreachable, with its exit code and last words", async () => {
    host = openHost();
    await assert.rejects(
      connect(() => toolsServer(host.nursery, ["--fail"])),
      (error: unknown) => hasCode(error, "E_UNREACHABLE") && /code 3.*no licence file/.test(String(error)),
    );
  });

  it("breaks the calls under way when it dies", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery));
    await assert.rejects(connection.callTool("die", {}), (error: unknown) =>
      hasCode(error, "E_CONNECTION_LOST"),
    );
    assert.equal(connection.lost, true);
  });

  it("cannot fill our memory with a line that never ends", async () => {
    host = openHost();
    const flood = "const b = Buffer.alloc(1 << 20, 'x'); const w = () => process.stdout.write(b, w); w()";
    const transport = node(flood);
    const errors: Error[] = [];
    const closed = new Promise<void>((resolve) => {
      transport.onclose = resolve;
    });
    transport.onerror = (error) => errors.push(error);
    await transport.start();
    const pid = transport.pid ?? 0;
    await closed;
    assert.match(String(errors.at(-1)), /more than 16777216 bytes/);
    await transport.close();
    assert.equal(runs(pid), false);
  });

  it("gets the environment that it was given, a marker, and nothing of ours", async () => {
    host = openHost();
    const script =
      "console.log(JSON.stringify({jsonrpc:'2.0',method:'env',params:process.env})); setInterval(()=>{},1000)";
    const shared = {
      nursery: host.nursery,
      clock: systemClock,
      logger: silentLogger,
      owner: "me/fs",
      ...QUICK,
    };
    const transport = childTransport({
      command: process.execPath,
      args: ["-e", script],
      env: { GIVEN: "1" },
      ...shared,
    });
    const told = new Promise<unknown>((resolve) => {
      transport.onmessage = resolve;
    });
    await transport.start();
    const { params } = JSON.parse(JSON.stringify(await told));
    await transport.close();
    assert.deepEqual(Object.keys(params).toSorted(), ["GIVEN", "MCPP_MOUNT"]);
    assert.match(params.MCPP_MOUNT, /^me\/fs\//);
  });
});

describe("the end of a spawned server", () => {
  it("comes by itself when its input closes", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery));
    const pid = Number(await text(connection, "pid"));
    await connection.close();
    assert.equal(runs(pid), false);
  });

  it("comes by force if it ignores the end of its input and SIGTERM", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery, ["--stubborn"], QUICK));
    const pid = Number(await text(connection, "pid"));
    await connection.close();
    assert.equal(runs(pid), false);
  });

  it("takes along what it started, in its group and out of it", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery, [], QUICK));
    const grandchild = Number(await text(connection, "spawn", { detached: false }));
    const daemon = Number(await text(connection, "spawn", { detached: true }));
    assert.deepEqual([runs(grandchild), runs(daemon)], [true, true]);
    await connection.close();
    assert.deepEqual([runs(grandchild), runs(daemon)], [false, false]);
  });

  it("comes with the end of the nursery", async () => {
    host = openHost();
    const connection = await connect(() => toolsServer(host.nursery));
    const pid = Number(await text(connection, "pid"));
    const grandchild = Number(await text(connection, "spawn", { detached: false }));
    await host.close();
    assert.deepEqual([runs(pid), runs(grandchild)], [false, false]);
  });

  it("leaves no record behind", async () => {
    host = openHost();
    const records = join(folder, "clean");
    const registry = await openChildRegistry(records);
    const connection = await connect(() => toolsServer(host.nursery, [], { registry }));
    assert.equal((await readdir(records)).length, 1);
    await connection.close();
    assert.deepEqual(await readdir(records), []);
  });
});

describe("orphans", () => {
  it("of a node that was killed are ended at the next start, with what they started", async () => {
    host = openHost();
    const records = join(folder, "killed");
    const parent = spawn(
      process.execPath,
      [join(import.meta.dirname, "../support/servers/parent.ts"), records],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const [line] = await once(createInterface(parent.stdout), "line");
    const pids: number[] = JSON.parse(String(line));
    parent.kill("SIGKILL");
    await once(parent, "exit");
    assert.deepEqual(pids.map(runs), [true, true, true]);
    const reaped = await reapOrphans(records, QUICK.graceMs);
    assert.deepEqual(
      reaped.map((one) => one.gone),
      [true],
    );
    assert.deepEqual(pids.map(runs), [false, false, false]);
    assert.deepEqual(await readdir(records), []);
  });

  it("are ended together, however stubborn each is", async () => {
    host = openHost();
    const records = join(folder, "stubborn");
    await openChildRegistry(records);
    const graceMs = 1000;
    const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
    const orphans = Array.from({ length: 3 }, () =>
      spawn(process.execPath, ["-e", script], { detached: true, stdio: ["ignore", "pipe", "ignore"] }),
    );
    await Promise.all(orphans.map((orphan) => once(orphan.stdout, "data")));
    for (const [i, { pid = 0 }] of orphans.entries()) {
      const record = { marker: `m/${i}`, command: "x", parentPid: 1, parentStartTime: "never", pid };
      await writeFile(
        join(records, `${i}.json`),
        JSON.stringify({ ...record, startTime: processStartTime(pid) }),
      );
    }
    const began = performance.now();
    const reaped = await reapOrphans(records, graceMs);
    const tookMs = performance.now() - began;
    assert.deepEqual(
      reaped.map((one) => one.gone),
      [true, true, true],
    );
    assert.ok(tookMs < 2 * graceMs, `took ${tookMs} ms`);
  });

  it("are never looked for among processes of a node that still runs", async () => {
    host = openHost();
    const records = join(folder, "alive");
    const registry = await openChildRegistry(records);
    const connection = await connect(() => toolsServer(host.nursery, [], { registry }));
    assert.deepEqual(await reapOrphans(records), []);
    assert.match(await text(connection, "pid"), /^\d+$/);
    await connection.close();
  });

  it("are not mistaken: another process with a recorded pid is left alone", async () => {
    host = openHost();
    const records = join(folder, "reused");
    await openChildRegistry(records);
    const innocent = spawn(process.execPath, ["-e", "setInterval(()=>{},1000)"], {
      detached: true,
      stdio: "ignore",
    });
    await once(innocent, "spawn");
    const record = { marker: "m/1", command: "x", parentPid: 1, parentStartTime: "never", pid: innocent.pid };
    const startTime = processStartTime(innocent.pid ?? 0);
    await writeFile(join(records, "a.json"), JSON.stringify({ ...record, startTime: "another boot/1" }));
    await writeFile(join(records, "b.json"), JSON.stringify(record));
    const reaped = await reapOrphans(records);
    assert.deepEqual(
      reaped.map((one) => one.pids),
      [[], []],
    );
    assert.equal(innocent.exitCode, null);
    // The same record with the right start time does end it: the test above could fail.
    await writeFile(join(records, "c.json"), JSON.stringify({ ...record, startTime }));
    await reapOrphans(records);
    await until(() => innocent.signalCode === "SIGTERM");
  });
});
