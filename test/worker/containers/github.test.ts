/** Repositories: fetched, built and run on a real engine, from a real Git repository on this machine. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Task } from "../../../src/task/task.ts";
import type { ContainerPolicy } from "../../../src/worker/index.ts";
import { ContainerWorld } from "../../support/containers.ts";
import { startEngine, type TestEngine, whyNoEngine } from "../../support/engine.ts";

const skip = whyNoEngine() ?? false;

/** Whether the program of a build that does not end runs on this machine. */
function running(): boolean {
  return /sleep 3171$/m.test(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }));
}

const HELLO =
  'FROM scratch\nARG WHO=nobody\nCOPY busybox /bin/sh\nENV WHO=$WHO\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["echo hello $WHO"]\n';

describe("docker.github", { skip }, () => {
  let engine: TestEngine;
  let world: ContainerWorld;
  let folder: string;
  let repository: string;

  before(async () => {
    engine = await startEngine();
    folder = mkdtempSync(join(tmpdir(), "mcpp-git-"));
  });
  after(async () => {
    await engine[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    world = new ContainerWorld();
    repository = mkdtempSync(join(folder, "repository-"));
  });
  afterEach(async () => {
    await world.close();
    assert.equal(await engine.containers(), 0, "a container is left behind");
    const images = await engine.docker.listImages({ all: true });
    assert.deepEqual(
      images.flatMap(({ RepoTags }) => RepoTags ?? []),
      ["localhost/box:latest"],
      "an image is left behind",
    );
    assert.equal(images.length, 1, "a layer is left behind");
  });

  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", repository, "-c", "user.name=t", "-c", "user.email=t@localhost", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    }).trim();

  /** Commits files on the branch `main`. @returns the commit's id */
  const commit = (files: Readonly<Record<string, string>>): string => {
    git("init", "--quiet", "--initial-branch=main");
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(repository, name)), { recursive: true });
      writeFileSync(join(repository, name), text);
    }
    return add();
  };
  const add = (): string => {
    git("add", "--all");
    git("commit", "--quiet", "--message", "files");
    return git("rev-parse", "HEAD");
  };
  const withBusybox = (): void => copyFileSync("/bin/busybox", join(repository, "busybox"));
  const start = (policy: Partial<ContainerPolicy> = {}): Promise<unknown> =>
    world.start(engine, { repositories: [`file://${folder}/`], ...policy });
  const build = (payload: Record<string, unknown> = {}): Promise<Task> =>
    world.done("docker.github", { repo_url: `file://${repository}`, ...payload });

  it("builds a branch with its arguments, runs it, and leaves nothing", async () => {
    withBusybox();
    const id = commit({ Dockerfile: HELLO });
    await start();
    const { state, result, logs, error } = await build({ build_args: { WHO: "you" } });
    assert.deepEqual(
      [error?.message, state, result?.["stdout"], result?.["commit"]],
      [undefined, "completed", "hello you\n", id],
    );
    assert.ok(logs.some(({ stream, message }) => stream === "build" && /COPY busybox/.test(message)));
    assert.deepEqual(readdirSync(join(world.folder, "containers")), ["worker-id"]);
  });

  it("builds a commit, with a Dockerfile and a context of other folders", async () => {
    mkdirSync(join(repository, "part"));
    copyFileSync("/bin/busybox", join(repository, "part/busybox"));
    const id = commit({ "docker/Dockerfile.part": HELLO, "part/x": "x" });
    commit({ "docker/Dockerfile.part": "FROM scratch\n" });
    await start();
    const { result } = await world.done("docker.build_and_execute_github_repo", {
      repo: `file://${repository}`,
      commit: id,
      dockerfile: "docker/Dockerfile.part",
      context: "./part",
    });
    assert.equal(result?.["stdout"], "hello nobody\n");
  });

  it("ends a build that does not end, with everything that it started", async () => {
    commit({ Dockerfile: "FROM localhost/box\nRUN sleep 3171\n" });
    await start({ buildRun: true });
    const id = await world.submit("docker.github", { repo_url: `file://${repository}` });
    for (let tries = 0; !running(); tries++) {
      assert.ok(tries < 200, "it was never begun");
      await pause(50);
    }
    await world.queue.cancel(id, "nobody needs it");
    for (let tries = 0; running(); tries++) {
      assert.ok(tries < 300, "it lives on");
      await pause(50);
    }
  });

  it("fails with what the builder says", async () => {
    commit({ Dockerfile: "FROM scratch\nCOPY absent /x\n" });
    await start();
    const { state, error } = await build();
    assert.deepEqual([state, error?.code], ["failed", "E_CONTAINER_BUILD"]);
    assert.match(error?.message ?? "", /absent/);
  });

  it("says so if there is no such branch or repository", async () => {
    commit({ Dockerfile: HELLO });
    await start();
    const { error } = await build({ branch: "absent" });
    assert.deepEqual([error?.code, error?.failureClass], ["E_GIT", "not-found"]);
    const nowhere = await build({ repo_url: `file://${folder}/nowhere` });
    assert.deepEqual([nowhere.error?.code, nowhere.error?.failureClass], ["E_GIT", "not-found"]);
  });

  it("runs no hook of a repository and asks no configuration of it", async () => {
    withBusybox();
    commit({ Dockerfile: HELLO, ".gitattributes": "* filter=evil export-subst\n" });
    const trap = join(folder, "trap");
    writeFileSync(join(repository, ".git/hooks/post-checkout"), `#!/bin/sh\ntouch ${trap}\n`, {
      mode: 0o755,
    });
    await start();
    assert.equal((await build()).state, "completed");
    assert.ok(!readdirSync(folder).includes("trap"));
  });

  const links: Readonly<Record<string, string>> = {
    absolute: "/etc/hostname",
    upwards: "../../../../etc/hostname",
  };
  for (const [name, target] of Object.entries(links)) {
    it(`refuses a context with a symbolic link that leads out: ${name}`, async () => {
      mkdirSync(join(repository, "a"));
      symlinkSync(target, join(repository, "a/link"));
      commit({ Dockerfile: "FROM scratch\nCOPY a /a\n" });
      await start();
      const { error } = await build();
      assert.deepEqual([error?.code, /leads out/.test(error?.message ?? "")], ["E_INVALID_INPUT", true]);
    });
  }

  it("refuses a Dockerfile, or a context, that is a symbolic link", async () => {
    symlinkSync("/etc/hostname", join(repository, "Dockerfile"));
    symlinkSync("/etc", join(repository, "context"));
    commit({ other: "FROM scratch\n" });
    await start();
    assert.equal((await build()).error?.failureClass, "invalid");
    assert.equal((await build({ dockerfile_path: "other", context_path: "context" })).state, "failed");
  });

  const refusals: readonly (readonly [what: string, code: string, dockerfile: string])[] = [
    ["a base image that is not allowed", "E_CONTAINER_DENIED", "FROM evil\n"],
    ["one behind a stage", "E_CONTAINER_DENIED", "FROM scratch AS a\nFROM evil\n"],
    ["one behind an argument", "E_CONTAINER_DENIED", "ARG B=evil\nFROM $B\n"],
    ["one that is copied from", "E_CONTAINER_DENIED", "FROM scratch\nCOPY --from=evil /etc /etc\n"],
    ["one in a continued line", "E_CONTAINER_DENIED", "FROM \\\n# no\n\n evil\n"],
    ["one for a trigger", "E_CONTAINER_DENIED", "FROM scratch\nONBUILD COPY --from=evil / /\n"],
    ["RUN that is not granted", "E_CONTAINER_DENIED", "FROM localhost/box\nRUN id\n"],
    ["a download", "E_CONTAINER_DENIED", "FROM scratch\nADD http://127.0.0.1:1/x /x\n"],
    ["another escape character", "E_CONTAINER_DENIED", "# escape=`\nFROM scratch\n"],
    ["another syntax", "E_CONTAINER_DENIED", "# syntax=evil/frontend\nFROM scratch\n"],
    [
      "a here-document",
      "E_CONTAINER_DENIED",
      "FROM scratch\nCOPY <<EOF /x\nFROM scratch AS evil\nEOF\nFROM evil\n",
    ],
    ["nothing at all", "E_INVALID_INPUT", "# nothing\n"],
  ];
  it("refuses Dockerfiles that reach for what was not granted", async () => {
    await start();
    for (const [what, code, dockerfile] of refusals) {
      commit({ Dockerfile: dockerfile });
      const { error } = await build();
      assert.equal(error?.code, code, `${what}: ${error?.message}`);
    }
    assert.equal((await build({ dockerfile_path: "../Dockerfile" })).error?.code, "E_INVALID_INPUT");
  });

  it("refuses what RUN would mount, although RUN is granted", async () => {
    commit({ Dockerfile: "FROM localhost/box\nRUN --mount=type=bind,source=/,target=/host ls /host\n" });
    await start({ buildRun: true });
    assert.equal((await build()).error?.code, "E_CONTAINER_DENIED");
  });

  it("runs RUN without a network and within the memory of the policy", async () => {
    commit({
      Dockerfile:
        "FROM localhost/box\nRUN ls -l /proc/self/ns/net; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; dd if=/dev/zero of=/dev/null bs=200M count=1 || echo no memory\n",
    });
    await start({ buildRun: true });
    const { logs } = await build({ command: ["true"] });
    const told = logs.map(({ message }) => message).join("\n");
    assert.match(told, /no memory/);
    const [, network] = /-> (net:\[\d+\])/.exec(told) ?? [];
    assert.ok(network !== undefined && network !== readlinkSync("/proc/self/ns/net"), told);
  });
});
