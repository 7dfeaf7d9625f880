/** Workflows of a checkout and of a server that behaves like GitHub's, and the tasks that they become. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { followGithubWorkflows } from "../../../src/discovery/index.ts";
import { silentLogger } from "../../../src/logger.ts";
import { openHost } from "../../../src/nursery/index.ts";
import { openMemoryStores } from "../../../src/store/index.ts";
import { openLocalQueue } from "../../../src/task/local.ts";
import type { WorkflowTask } from "../../../src/workflow/scheduler/index.ts";
import { TestClock } from "../../support/clock.ts";
import { GithubServer } from "../../support/github-api.ts";
import { temporaryFolder } from "../../support/node-process.ts";
import { openTestScheduler } from "../../support/scheduler.ts";

const INTERVAL_MS = 300_000;
const REPOSITORY = "owner/repo";
const FOLDER = ".github/workflows";
const ONLY = "name: 'Only peers'\non: push\nenv:\n  WORKFLOW_TAGS: p2p-only, code-generation\n";
const ELIGIBLE = "# P2P: p2p-eligible\non: push\n";
const GITHUB = "name: CI\n# Tags: unit-test, github-api\non: push\n";

/** Counts the pauses between looks. */
class PauseClock extends TestClock {
  #pauses = 0;
  #ring: (() => void) | undefined;

  override schedule(fn: () => void, delayMs: number): () => void {
    if (delayMs === INTERVAL_MS) {
      this.#pauses += 1;
      this.#ring?.();
    }
    return super.schedule(fn, delayMs);
  }

  async paused(times: number): Promise<void> {
    while (this.#pauses < times) await new Promise<void>((resolve) => (this.#ring = resolve));
  }
}

/** A node in small that looks at `sources`, and what it was given to do. */
class Looker {
  readonly clock = new PauseClock();
  #seen = 0;
  readonly found: WorkflowTask[] = [];
  readonly #host = openHost({ clock: this.clock });
  readonly #queue = openLocalQueue({
    store: openMemoryStores().tasks,
    nursery: this.#host.nursery,
    clock: this.clock,
  });
  readonly scheduler = openTestScheduler({
    clock: this.clock,
    nursery: this.#host.nursery,
    queue: this.#queue,
    selfId: "me",
  });

  constructor(t: TestContext, sources: readonly string[], api = "http://127.0.0.1:1", token?: string) {
    t.after(() => this.#host.close());
    const { home } = this.scheduler;
    this.follow = () => {
      this.#host.nursery.startSoon(() =>
        followGithubWorkflows({
          sources,
          api,
          intervalMs: INTERVAL_MS,
          clock: this.clock,
          logger: silentLogger,
          token: token === undefined ? { from: "none" } : { from: "given", token },
          random: () => 0,
          submit: async (task, edition) => {
            const outcome = await home.submitOnce(task, edition);
            if (outcome === "submitted") this.found.push(task);
            return outcome;
          },
        }),
      );
    };
    this.follow();
  }

  readonly follow: () => void;

  /** Waits until it has looked once more, which ends with a pause. */
  async looked(): Promise<void> {
    this.#seen += 1;
    await this.clock.paused(this.#seen);
  }

  async again(): Promise<void> {
    this.clock.jump(INTERVAL_MS);
    await this.looked();
  }
}

function checkout(t: TestContext): string {
  const folder = temporaryFolder();
  t.after(() => folder[Symbol.dispose]());
  mkdirSync(join(folder.path, FOLDER), { recursive: true });
  return folder.path;
}

const summary = (tasks: readonly WorkflowTask[]): unknown =>
  tasks.map(({ taskId, workflowId, name, tags, priority }) => [taskId, workflowId, name, tags, priority]);
const EXPECTED = [
  ["owner/repo/a.yml", "owner/repo", "Only peers", ["code-generation", "p2p-only"], 8],
  ["owner/repo/b.yaml", "owner/repo", "b.yaml", ["p2p-eligible"], 6],
];

describe("workflows of a checkout", () => {
  it("become tasks with their tags and priority, those for the network only", async (t) => {
    const folder = checkout(t);
    const at = (name: string): string => join(folder, FOLDER, name);
    writeFileSync(at("a.yml"), ONLY);
    writeFileSync(at("b.yaml"), ELIGIBLE);
    writeFileSync(at("c.yml"), GITHUB);
    writeFileSync(at("notes.txt"), ONLY);
    symlinkSync(at("a.yml"), at("link.yml"));
    writeFileSync(at("large.yml"), ONLY + "#".repeat(600_000));
    const looker = new Looker(t, [`${REPOSITORY}=${folder}`]);

    await looker.looked();

    assert.deepEqual(summary(looker.found), EXPECTED);
    assert.equal((await looker.scheduler.next())?.task.taskId, "owner/repo/a.yml");
  });

  it("become a task once for each content, also for a node that starts anew", async (t) => {
    const folder = checkout(t);
    const file = join(folder, FOLDER, "a.yml");
    writeFileSync(file, ONLY);
    const looker = new Looker(t, [`${REPOSITORY}=${folder}`]);
    await looker.looked();
    await looker.scheduler.next();
    await looker.scheduler.complete("owner/repo/a.yml", {});
    await looker.again();
    looker.follow();
    await looker.looked();
    assert.equal(looker.found.length, 1);

    writeFileSync(file, `${ONLY}# more\n`);
    await looker.again();
    writeFileSync(file, `${ONLY}# and more\n`);
    await looker.again();
    assert.equal(looker.found.length, 2, "the third content waits until the second has ended");
    await looker.scheduler.next();
    await looker.scheduler.complete("owner/repo/a.yml", {});
    await looker.again();

    assert.equal(looker.found.length, 3);
  });

  it("are looked for again when they could not be read", async (t) => {
    const folder = checkout(t);
    rmSync(join(folder, ".github"), { recursive: true });
    const looker = new Looker(t, [`${REPOSITORY}=${folder}`]);
    await looker.looked();
    mkdirSync(join(folder, FOLDER), { recursive: true });
    writeFileSync(join(folder, FOLDER, "a.yml"), ONLY);
    await looker.again();
    assert.equal(looker.found.length, 1);
  });
});

async function open(t: TestContext): Promise<GithubServer> {
  const github = await GithubServer.open();
  t.after(() => github[Symbol.asyncDispose]());
  github.addToken("secret", "reader", { write: false });
  github.files.set(`${FOLDER}/a.yml`, ONLY);
  github.files.set(`${FOLDER}/b.yaml`, ELIGIBLE);
  github.files.set(`${FOLDER}/c.yml`, GITHUB);
  return github;
}

describe("workflows of a repository on GitHub", () => {
  it("become tasks, and cost one unchanged list a look after that", async (t) => {
    const github = await open(t);
    const looker = new Looker(t, [github.repository], github.url, "secret");
    await looker.looked();
    assert.deepEqual(
      summary(looker.found),
      EXPECTED.map(([id, , ...rest]) => [
        String(id).replace(REPOSITORY, github.repository),
        github.repository,
        ...rest,
      ]),
    );
    const { length } = github.requests;
    assert.equal(length, 4);

    await looker.again();

    assert.deepEqual(
      github.requests.slice(length).map(({ status }) => status),
      [304],
    );
    github.files.set(`${FOLDER}/d.yml`, ELIGIBLE.replace("push", "pull_request"));
    await looker.again();
    assert.equal(github.count(/blobs/), 4, "only the new file is read");
    assert.equal(looker.found.length, 3);
  });

  it("are left alone for as long as a limit asks, and read completely afterwards", async (t) => {
    const github = await open(t);
    github.fail(/blobs/, { status: 429, headers: { "retry-after": "600" } });
    const looker = new Looker(t, [github.repository], github.url, "secret");
    await looker.looked();
    const { length } = github.requests;
    await looker.again();
    assert.equal(github.requests.length, length, "no request before its time");
    looker.clock.jump(2 * INTERVAL_MS);
    await looker.looked();
    await looker.again();
    assert.equal(looker.found.length, 2);
  });

  it("are none where there is no folder, and a wrong token does not end the node", async (t) => {
    const github = await open(t);
    github.files.clear();
    const looker = new Looker(t, [github.repository], github.url, "secret");
    const refused = new Looker(t, [github.repository], github.url, "wrong");
    await looker.looked();
    await refused.looked();
    assert.deepEqual([...looker.found, ...refused.found], []);
    assert.ok(github.requests.some(({ status }) => status === 401));
  });
});
