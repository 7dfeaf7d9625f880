import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { cancelScope, openNursery, run, waitForSignal } from "../../src/nursery/index.ts";
import { settled } from "../support/clock.ts";

const NURSERY = new URL("../../src/nursery/index.ts", import.meta.url).href;

/** Starts a program that says "ready" when its handlers are in place. */
async function startProgram(test: TestContext, source: string): Promise<ChildProcess> {
  const program = `import { run, shield, sleep, sleepForever } from ${JSON.stringify(NURSERY)};\n${source}`;
  const child = spawn(process.execPath, ["--input-type=module", "--no-warnings", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  test.after(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

describe("process signals", () => {
  it(
    "the first one cancels everything, lets cleanup run and sets the exit code",
    { timeout: 30_000 },
    async (test) => {
      const child = await startProgram(
        test,
        `
      const outcome = await run(async () => {
        process.stdout.write("ready");
        try { await sleepForever(); } finally { await shield(5000, () => sleep(20)); process.stdout.write("clean"); }
      }, { signals: ["SIGTERM"] });
      process.stdout.write(String(outcome.ok));
    `,
      );
      let output = "";
      child.stdout?.on("data", (chunk: Buffer) => {
        output += chunk.toString();
      });
      child.kill("SIGTERM");
      const [code] = await once(child, "close");
      assert.deepEqual([code, output], [143, "cleanfalse"]);
    },
  );

  it("the second one kills", { timeout: 30_000 }, async (test) => {
    const child = await startProgram(
      test,
      `
      await run(async () => {
        process.stdout.write("ready");
        try { await sleepForever(); } finally { process.stdout.write("stuck"); await shield(60_000, sleepForever); }
      }, { signals: ["SIGINT"] });
    `,
    );
    const stuck = child.stdout && once(child.stdout, "data");
    child.kill("SIGINT");
    await stuck;
    child.kill("SIGINT");
    const [, signal] = await once(child, "close");
    assert.equal(signal, "SIGINT");
  });

  it("are waited for with a handler that is in place only meanwhile", async () => {
    const before = process.listenerCount("SIGHUP");
    await openNursery(async (nursery) => {
      nursery.startSoon(async () => assert.equal(await waitForSignal("SIGHUP", "SIGWINCH"), "SIGHUP"));
      await settled();
      assert.equal(process.listenerCount("SIGHUP"), before + 1);
      process.kill(process.pid, "SIGHUP");
    });
    await cancelScope(async (scope) => {
      setImmediate(() => scope.cancel());
      await waitForSignal("SIGHUP");
    });
    await run(() => assert.equal(process.listenerCount("SIGHUP"), before + 1), { signals: ["SIGHUP"] });
    assert.deepEqual([process.listenerCount("SIGHUP"), process.listenerCount("SIGWINCH")], [before, 0]);
  });
});
