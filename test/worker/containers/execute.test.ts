/** Containers on a real engine: what they are given, what comes back, and that nothing of them stays. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Task } from "../../../src/task/task.ts";
import { ContainerWorld } from "../../support/containers.ts";
import { BOX, startEngine, type TestEngine, whyNoEngine } from "../../support/engine.ts";

const skip = whyNoEngine() ?? false;

describe("docker.execute", { skip }, () => {
  let engine: TestEngine;
  let world: ContainerWorld;
  before(async () => {
    engine = await startEngine();
  });
  after(() => engine[Symbol.asyncDispose]());
  beforeEach(() => {
    world = new ContainerWorld();
  });
  afterEach(async () => {
    await world.close();
    assert.equal(await engine.containers(), 0, "a container is left behind");
  });

  const run = (payload: Record<string, unknown>): Promise<Task> =>
    world.done("docker.execute", { image: BOX, ...payload });

  /** Looks at a task until `is` holds. */
  const until = async (id: string, is: (task: Task) => boolean): Promise<Task> => {
    for (let tries = 0; tries < 300; tries++) {
      const task = await world.queue.get(id);
      if (task && is(task)) return task;
      await pause(50);
    }
    throw new Error("it did not come to that");
  };

  it("runs exactly the words that it was given, and gives both streams, exit code and times", async () => {
    await world.start(engine);
    const command = ["sh", "-c", 'echo "$1|$2|$#"; echo "$A" >&2; pwd', "x", "two words", ""];
    const { state, result, logs, error } = await run({
      command,
      environment: { A: "b c" },
      working_dir: "/etc",
    });
    assert.deepEqual([state, error], ["completed", undefined]);
    assert.equal(result?.["stdout"], "two words||2\n/etc\n");
    assert.equal(result?.["stderr"], "b c\n");
    assert.deepEqual(
      [result?.["success"], result?.["exit_code"], result?.["error_message"]],
      [true, 0, null],
    );
    assert.ok(Number(result?.["execution_time"]) > 0);
    assert.ok(Number(result?.["finished_at"]) >= Number(result?.["started_at"]));
    assert.deepEqual(logs.map(({ stream, message }) => `${stream} ${message}`).toSorted(), [
      "stderr b c",
      "stdout /etc",
      "stdout two words||2",
    ]);
  });

  it("takes every name of the type, and an entry point with a command after it", async () => {
    await world.start(engine);
    const payload = { image: BOX, entrypoint: "echo one", command: ["two"] };
    for (const type of ["docker.run", "docker.hub", "docker.execute_docker_container"]) {
      const { result } = await world.done(type, payload);
      assert.equal(result?.["stdout"], "one two\n");
    }
  });

  it("runs locked down: no capability, no new privileges, nobody, nothing to write but /tmp, no network", async () => {
    await world.start(engine);
    const look =
      "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; id -u; touch /x; touch /tmp/y && echo tmp; ls /sys/class/net; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes";
    const { result } = await run({ command: ["sh", "-c", look] });
    const facts = String(result?.["stdout"]).replaceAll(/\s+/g, " ").trim();
    assert.match(facts, /CapBnd: 0+ /);
    assert.match(facts, /CapEff: 0+ /);
    assert.match(facts, /NoNewPrivs: 1 Seccomp: 2 65534 tmp lo 32 67108864$/);
    assert.match(String(result?.["stderr"]), /Read-only file system/);
  });

  it("mounts what the worker allows, read-only", async () => {
    const folder = join(world.folder, "shared");
    mkdirSync(folder);
    writeFileSync(join(folder, "file"), "from outside\n", { mode: 0o644 });
    await world.start(engine, { mounts: [folder] });
    const { result } = await run({
      volumes: { [folder]: "/in:ro" },
      command: ["sh", "-c", "cat /in/file; touch /in/x"],
    });
    assert.deepEqual([result?.["stdout"], result?.["exit_code"]], ["from outside\n", 1]);
  });

  it("tells lines while the container runs", async () => {
    await world.start(engine);
    const id = await world.submit("docker.execute", {
      image: BOX,
      command: ["sh", "-c", "echo early; sleep 20"],
    });
    const { state, progress } = await until(id, ({ logs }) =>
      logs.some(({ message }) => message === "early"),
    );
    assert.deepEqual([state, progress?.["phase"]], ["running", "running"]);
    await world.queue.cancel(id, "seen enough");
  });

  it("fails with the exit code, and is not tried again", async () => {
    await world.start(engine);
    const id = await world.queue.submit([
      { type: "docker.execute", payload: { image: BOX, command: ["sh", "-c", "echo out; exit 3"] } },
    ]);
    const { task } = await world.queue.wait(id[0]?.taskId ?? "", 30_000);
    assert.deepEqual(
      [task.state, task.attempt, task.error?.code, task.result?.["exit_code"], task.result?.["stdout"]],
      ["failed", 1, "E_CONTAINER_EXIT", 3, "out\n"],
    );
  });

  it("fails for want of memory, and says so", async () => {
    await world.start(engine);
    const { state, error } = await run({
      memory_limit: "32m",
      command: ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"],
    });
    assert.deepEqual([state, error?.code], ["failed", "E_CONTAINER_OOM"]);
  });

  it("kills what does not end in time, and gives what it wrote until then", async () => {
    await world.start(engine);
    const { state, error, result } = await run({
      timeout: "2",
      command: ["sh", "-c", "trap '' TERM; echo begun; sleep 60"],
    });
    assert.deepEqual(
      [state, error?.code, error?.failureClass, result?.["stdout"]],
      ["failed", "E_CONTAINER_TIMEOUT", "timeout", "begun\n"],
    );
    assert.equal(await engine.containers(), 0);
  });

  it("kills and removes the container of a task that was cancelled", async () => {
    await world.start(engine);
    const id = await world.submit("docker.execute", { image: BOX, command: ["sleep", "60"] });
    await until(id, ({ progress }) => progress?.["phase"] === "running");
    while ((await engine.containers()) === 0) await pause(50);
    await world.queue.cancel(id, "nobody needs it");
    for (let tries = 0; (await engine.containers()) > 0; tries++) {
      assert.ok(tries < 200, "the container lives on");
      await pause(50);
    }
    assert.equal((await world.queue.get(id))?.state, "cancelled");
  });

  it("hands the task back when the worker stops, after the container is gone", async () => {
    await world.start(engine);
    const id = await world.submit("docker.execute", { image: BOX, command: ["sleep", "60"] });
    while ((await engine.containers()) === 0) await pause(50);
    const { queue } = world;
    const task = await queue.get(id);
    await world.close();
    assert.equal(task?.state, "running");
    assert.equal(await engine.containers(), 0);
    world = new ContainerWorld();
  });

  it("keeps the end of much output, and marks what is missing", async () => {
    await world.start(engine);
    const { result, logs } = await run({ command: ["sh", "-c", "seq 1 200000; echo last"] });
    assert.equal(result?.["stdout_truncated"], true);
    assert.equal(result?.["stdout_bytes"], 1_288_900);
    assert.match(String(result?.["stdout"]), /^\[… \d+ bytes before this are left out\]/);
    assert.match(String(result?.["stdout"]), /200000\nlast\n$/);
    assert.ok(logs.length <= 200);
    assert.ok(logs.some(({ message }) => /lines are left out/.test(message)));
  });

  it("says what is wrong with an image or a program that is not there", async () => {
    await world.start(engine, { images: ["localhost/box", "localhost/absent"] });
    const absent = await world.done("docker.execute", { image: "localhost/absent" });
    assert.deepEqual([absent.error?.code, absent.error?.failureClass], ["E_CONTAINER_IMAGE", "not-found"]);
    const program = await run({ command: ["/no/such/program"] });
    assert.deepEqual([program.error?.code, program.error?.failureClass], ["E_CONTAINER_START", "invalid"]);
    const nameless = await world.done("docker.execute", {});
    assert.equal(nameless.error?.message, "docker task missing payload.image");
  });

  it("runs the words of a shell task in the worker's own image, never through a shell", async () => {
    await world.start(engine);
    const { result } = await world.done("shell", { argv: ["echo", "$(id)", "a b"], timeout_s: 30 });
    assert.deepEqual([result?.["stdout"], result?.["returncode"]], ["$(id) a b\n", 0]);
  });
});
