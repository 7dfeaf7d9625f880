/** Thirty specifications that want what they must not have, on a real engine: each is refused or contained. */
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ContainerWorld } from "../../support/containers.ts";
import { HOSTILE, type HostileSpecification } from "../../support/hostile.ts";
import { BOX, startEngine, type TestEngine, whyNoEngine } from "../../support/engine.ts";

const skip = whyNoEngine() ?? false;

describe("hostile specifications", { skip, timeout: 240_000 }, () => {
  let engine: TestEngine;
  let world: ContainerWorld;
  let allowed: string;
  const listener = createServer((socket) => socket.end());
  const unix = createServer();

  before(async () => {
    engine = await startEngine();
    world = new ContainerWorld();
    allowed = join(world.folder, "allowed");
    mkdirSync(allowed);
    symlinkSync("/etc", join(allowed, "link"));
    writeFileSync(join(allowed, "file"), "x");
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    await new Promise<void>((resolve) => unix.listen(join(allowed, "socket"), resolve));
    await world.start(engine, { mounts: [allowed] });
  });
  after(async () => {
    await world.close();
    for (const server of [listener, unix]) await new Promise((resolve) => server.close(resolve));
    await engine[Symbol.asyncDispose]();
  });

  /** With the names in a case replaced by what is true here. */
  const here = (payload: HostileSpecification["payload"]): Record<string, unknown> => {
    const address = listener.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const text = JSON.stringify({ image: BOX, command: ["true"], ...payload });
    return JSON.parse(text.replaceAll("ALLOWED", allowed).replaceAll("PORT", String(port)));
  };

  it("are at least thirty", () => assert.ok(HOSTILE.length >= 30));

  it("are refused or contained, each, and the worker goes on", async () => {
    const memory = process.memoryUsage.rss();
    for (const { what, payload, code, out } of HOSTILE) {
      const { state, error, result } = await world.done("docker.execute", here(payload));
      if (code !== undefined)
        assert.deepEqual([state, error?.code], ["failed", code], `${what}: ${error?.message}`);
      if (out !== undefined) assert.match(String(result ? result["stdout"] : error?.message), out, what);
      assert.equal(await engine.containers(), 0, `${what}: a container is left`);
    }
    assert.ok(process.memoryUsage.rss() - memory < 200 * 1024 * 1024, "the worker's memory has grown");
    const { result } = await world.done("docker.execute", { image: BOX, command: ["echo", "well"] });
    assert.equal(result?.["stdout"], "well\n");
  });
});
