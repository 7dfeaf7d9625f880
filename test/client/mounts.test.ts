/** Mounted servers as real processes: named, called, restarted, and none in the way of another. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { Transport } from "@modelcontextprotocol/client";
import { mountedName } from "../../src/client/mounted-names.ts";
import { type Mounts, openMounts, textOf } from "../../src/client/index.ts";
import { systemClock } from "../../src/clock.ts";
import { hasCode } from "../../src/errors.ts";
import { silentLogger } from "../../src/logger.ts";
import { type NurseryHost, openHost } from "../../src/nursery/index.ts";
import type { Upstream } from "../../src/server/upstream.ts";
import { childTransport } from "../../src/transport/child.ts";
import { TestClock } from "../support/clock.ts";
import {
  ENVIRONMENT,
  EVERYTHING_SERVER,
  keepingLogger,
  runs,
  toolsServer,
  until,
} from "../support/servers/index.ts";

let host: NurseryHost;
beforeEach(() => {
  host = openHost();
});
afterEach(() => host.close());

/** Mounts servers named in `targets`: flags of the tools server, `everything`, or `silent` for one that never answers. */
function open(targets: Readonly<Record<string, string>>, logger = silentLogger): Mounts {
  const mounts = Object.entries(targets).map(([name, target]) => ({ name, target }));
  const program = (args: readonly string[]): Transport => {
    const shared = { env: ENVIRONMENT, nursery: host.nursery, clock: systemClock, logger, graceMs: 200 };
    return childTransport({ command: process.execPath, args, ...shared });
  };
  const openTransport = async ({ target }: { readonly target: string }): Promise<Transport> => {
    if (target === "everything") return program([EVERYTHING_SERVER, "stdio"]);
    if (target === "silent") return program(["-e", "setInterval(() => {}, 1000)"]);
    return toolsServer(host.nursery, target.split(" "), { graceMs: 200, logger });
  };
  return openMounts({
    mounts,
    openTransport,
    nursery: host.nursery,
    clock: systemClock,
    logger,
    random: () => 0.1,
  });
}

function up(mounts: Mounts, name: string): boolean {
  return mounts.status().some((status) => status.name === name && status.state === "up");
}

describe("mounted servers", () => {
  it("offer their tools under the mount's name, also the reference server's", async () => {
    const mounts = open({ a: "--plain", every: "everything" });
    await mounts.ready();
    const names = mounts.tools().map((tool) => tool.name);
    assert.ok(names.includes("a__echo") && names.includes("every__echo"), names.join());
    assert.equal(textOf(await mounts.call("every__get-sum", { a: 2, b: 3 })), "The sum of 2 and 3 is 5.");
    const tool = mounts.tools().find((one) => one.name === "a__pid");
    assert.deepEqual([tool?.mount, tool?.originalName, tool?.annotations?.readOnlyHint], ["a", "pid", true]);
  });

  it("fit the server's contract, and show hosts nothing of ours", async () => {
    const mounts = open({ a: "--plain" });
    const upstream: Upstream = mounts;
    await mounts.ready();
    const tool = upstream.listTools().find((one) => one.name === "a__echo");
    assert.ok(tool);
    assert.deepEqual(
      ["mount" in tool, "originalName" in tool, tool.inputSchema.type],
      [false, false, "object"],
    );
  });

  it("are not held up or hidden by one that is bad or silent", async () => {
    const mounts = open({ bad: "--fail", silent: "silent", good: "--plain" });
    await until(() => up(mounts, "good") && mounts.status()[0]?.state === "down");
    assert.match(mounts.status()[0]?.error ?? "", /no licence file/);
    assert.deepEqual((await mounts.call("good__echo", { value: 1 })).structuredContent, { value: 1 });
    await assert.rejects(mounts.call("silent__x", {}), (error: unknown) => hasCode(error, "E_UNREACHABLE"));
    await assert.rejects(mounts.call("bad__x", {}), (error: unknown) => hasCode(error, "E_UNREACHABLE"));
    await assert.rejects(mounts.call("good__x", {}), (error: unknown) => hasCode(error, "E_TOOL_NOT_FOUND"));
    await mounts.close();
  });

  it("show neither arguments nor keys of their targets, in status, log or errors", async () => {
    const { logger, lines } = keepingLogger();
    const mounts = open({ bad: "--fail --token=SECRET-4711" }, logger);
    await until(() => mounts.status().every(({ state }) => state === "down"));
    const failed = await mounts.call("bad__x", {}).catch((error: unknown) => String(error));
    const shown = JSON.stringify([mounts.status(), lines, failed]);
    await mounts.close();
    assert.doesNotMatch(shown, /SECRET/);
    assert.equal(mounts.status()[0]?.target, "--fail …(1 argument)");
  });

  it("are started again when they are killed", async () => {
    const { logger, lines } = keepingLogger();
    const mounts = open({ a: "--plain" }, logger);
    await mounts.ready();
    const pid = Number(textOf(await mounts.call("a__pid", {})));
    process.kill(pid, "SIGKILL");
    await until(() => !up(mounts, "a"));
    await assert.rejects(mounts.call("a__pid", {}), (error: unknown) => hasCode(error, "E_UNREACHABLE"));
    await until(() => up(mounts, "a"));
    assert.notEqual(Number(textOf(await mounts.call("a__pid", {}))), pid);
    assert.deepEqual(
      lines.map((line) => line.message).filter((message) => /a mounted server is (up|down)/.test(message)),
      ["a mounted server is up", "a mounted server is down", "a mounted server is up"],
    );
  });

  it("fail the call under way when they die, and say that it may have happened", async () => {
    const mounts = open({ a: "--plain" });
    await mounts.ready();
    await assert.rejects(mounts.call("a__die", {}), (error: unknown) => hasCode(error, "E_CONNECTION_LOST"));
  });

  it("are listed anew when they say that their tools have changed", async () => {
    const mounts = open({ a: "--plain" });
    await mounts.ready();
    let changes = 0;
    mounts.onChanged(() => changes++);
    await mounts.call("a__grow", {});
    await until(() => mounts.tools().some((tool) => tool.name === "a__grown"));
    assert.ok(changes > 0);
    assert.equal(textOf(await mounts.call("a__grown", {})), "grown");
  });

  it("give up a call with its signal or deadline, and pass progress on", async () => {
    const mounts = open({ a: "--plain" });
    await mounts.ready();
    const seen: unknown[] = [];
    await mounts.call("a__count", { to: 3 }, { onProgress: (done, total) => seen.push([done, total]) });
    assert.deepEqual(seen, [
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
    await assert.rejects(mounts.call("a__hang", {}, { timeoutMs: 50 }), (error: unknown) =>
      hasCode(error, "E_TIMEOUT"),
    );
    const signal = AbortSignal.timeout(50);
    await assert.rejects(mounts.call("a__hang", {}, { signal }), (error: unknown) =>
      hasCode(error, "E_CANCELLED"),
    );
  });

  it("let a call take as long as it takes if nothing is said", async () => {
    const clock = new TestClock();
    await host.close();
    host = openHost({ clock });
    const mounts = open({ a: "--plain" });
    await mounts.ready();
    const controller = new AbortController();
    let ended = false;
    const call = mounts.call("a__hang", {}, { signal: controller.signal }).finally(() => {
      ended = true;
    });
    const givenUp = assert.rejects(call, (error: unknown) => hasCode(error, "E_CANCELLED"));
    await mounts.call("a__echo", { value: 1 });
    clock.jump(24 * 3_600_000);
    await mounts.call("a__echo", { value: 2 });
    assert.equal(ended, false);
    controller.abort();
    await givenUp;
    await mounts.close();
  });

  it("end with the mounts", async () => {
    const { logger, lines } = keepingLogger();
    const mounts = open({ a: "--stubborn" }, logger);
    await mounts.ready();
    const pid = Number(textOf(await mounts.call("a__pid", {})));
    await mounts.close();
    assert.equal(runs(pid), false);
    const said = lines.map(({ message }) => message);
    assert.deepEqual(
      [said.includes("a mounted server is down"), said.includes("a mounted server was closed")],
      [false, true],
    );
  });
});

describe("names of mounted tools", () => {
  it("are plain where that is possible", () => {
    assert.equal(mountedName("fs", "read_file"), "fs__read_file");
  });

  it("are short, accepted by hosts, always the same, and never shared", () => {
    const pairs = [
      ["fs", "x".repeat(80)],
      ["fs", `${"x".repeat(80)}y`],
      ["fs", "a.b"],
      ["fs", "a/b"],
      ["a", "b__c"],
      ["a__b", "c"],
      ["a_", "b"],
      ["a", "_b"],
    ] as const;
    const names = pairs.map(([mount, tool]) => mountedName(mount, tool));
    assert.equal(new Set(names).size, pairs.length, names.join());
    assert.ok(names.every((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name)));
    assert.deepEqual(
      names,
      pairs.map(([mount, tool]) => mountedName(mount, tool)),
    );
  });
});
