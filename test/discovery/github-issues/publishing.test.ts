/** How a node tells others of itself below the issue. */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import * as z from "zod";
import { parseComment } from "../../../src/discovery/github-issues/comment.ts";
import { hostOf } from "../../../src/discovery/github-issues/credentials.ts";
import { errorFacts } from "../../../src/errors.ts";
import { TestClock } from "../../support/clock.ts";
import { GithubServer } from "../../support/github-api.ts";
import { NOW, openNode, passTime, type TestNode } from "./registry.ts";

const TITLE = "p2p-peer-registry";

/** Lets a node publish itself for the first time. */
async function publish(github: GithubServer, node: TestNode): Promise<void> {
  const mine = (): boolean => github.comments.some(({ body }) => body.includes(node.peerId));
  node.advertise();
  await passTime(github, node.clock, mine);
}

const contentSchema = z.object({
  record: z.object({ multiaddrs: z.array(z.string()), expires_at: z.string() }),
});
const contentOf = (body = ""): z.infer<typeof contentSchema>["record"] =>
  contentSchema.parse(parseComment(TITLE, body)).record;

describe("a node that publishes itself in a registry", () => {
  it("creates the issue and one comment, which others find and old nodes can read", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    await using other = await openNode(github, { clock: node.clock });
    await publish(github, node);
    assert.deepEqual(
      github.issues.map(({ title }) => title),
      [TITLE],
    );
    assert.equal(github.comments.length, 1);
    assert.deepEqual(await other.find(), [
      { peerId: node.peerId, multiaddrs: [node.multiaddr], method: "github-issues" },
    ]);
    assert.deepEqual(await node.find(), []);

    const body = github.comments[0]?.body ?? "";
    const { peerId, multiaddr } = node;
    assert.match(body, new RegExp(`^<!-- ${TITLE}:${peerId} -->\\n\`\`\`json\\n\\{\\n  "last_seen"`));
    const content = parseComment(TITLE, body);
    assert.match(String(content?.["last_seen"]), /^2026-02-13T12:00:\d\d\.\d{6}$/);
    assert.deepEqual(
      { ...content, last_seen: "", record: "", signature: "" },
      {
        last_seen: "",
        listen_port: 9710,
        metadata: {},
        multiaddr,
        peer_id: peerId,
        public_ip: "203.0.113.7",
        record: "",
        runner_name: peerId,
        signature: "",
      },
    );
  });

  it("edits its comment before the record expires, and takes it away when it ends", async () => {
    await using github = await GithubServer.open();
    const clock = new TestClock(NOW);
    const node = await openNode(github, { clock, ttlMs: 60_000 });
    await publish(github, node);
    const first = contentOf(github.comments[0]?.body);
    await passTime(github, clock, () => github.count(/PATCH/) === 1);
    const second = contentOf(github.comments[0]?.body);
    assert.ok(clock.epochMs() < Date.parse(first.expires_at));
    assert.ok(Date.parse(second.expires_at) > Date.parse(first.expires_at));
    assert.equal(github.comments.length, 1);
    await node[Symbol.asyncDispose]();
    assert.deepEqual(github.comments, []);
  });

  it("edits it when its addresses change, but not more often than GitHub likes", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    await publish(github, node);
    const address = (port: number): string => `/ip4/203.0.113.7/tcp/${port}/p2p/${node.peerId}`;
    for (let port = 1; port <= 50; port++) {
      node.move([address(port)]);
      await passTime(github, node.clock, () => true);
      node.clock.jump(100);
    }
    await passTime(
      github,
      node.clock,
      () => contentOf(github.comments[0]?.body).multiaddrs[0] === address(50),
    );
    assert.equal(github.count(/PATCH/), 1);
  });

  it("never tells its loopback or private addresses, unless asked to; and nothing if it has no others", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    const local = ["ip4/127.0.0.1", "ip4/10.1.2.3", "ip6/fe80::1", "ip6/fd00::1", "dns4/box.local"].map(
      (host) => `/${host}/tcp/1/p2p/${node.peerId}`,
    );
    node.move(local);
    node.advertise();
    node.clock.jump(10_000);
    await passTime(github, node.clock, () => node.clock.now() > 60_000, 5000);
    assert.equal(github.requests.length, 0);
    node.move([...local, node.multiaddr]);
    await passTime(github, node.clock, () => github.comments.length === 1);
    assert.deepEqual(contentOf(github.comments[0]?.body).multiaddrs, [node.multiaddr]);
    assert.doesNotMatch(github.comments[0]?.body ?? "", /127\.0\.0\.1|10\.1\.2|fe80|local"/);
    node.move(local);
    await passTime(github, node.clock, () => github.comments.length === 0);

    await using open = await openNode(github, { localAddresses: true });
    open.move([`/ip4/127.0.0.1/tcp/1/p2p/${open.peerId}`]);
    await publish(github, open);
  });

  it("uses its comment of an earlier start, and removes further ones", async () => {
    await using github = await GithubServer.open();
    const key = await generateKeyPair("Ed25519");
    await using node = await openNode(github, { key });
    await publish(github, node);
    const { body = "" } = github.comments[0] ?? {};
    github.addComment(1, body, { user: "writer" });
    github.addComment(1, body, { user: "writer" });
    // As after a crash: the same identity, nothing remembered.
    await using restarted = await openNode(github, { clock: node.clock, key });
    restarted.advertise();
    await passTime(github, node.clock, () => github.count(/DELETE/) === 2);
    assert.deepEqual(
      github.comments.map(({ id }) => id),
      [1],
    );
    assert.equal(github.count(/POST .*comments/), 1);
  });

  it("has one comment also if the answer to its creation was lost", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    github.addIssue(TITLE);
    github.fail(/POST .*comments/, { loseAnswer: true });
    node.advertise();
    await passTime(github, node.clock, () => github.count(/PATCH/) === 1);
    assert.equal(github.comments.length, 1);
    assert.equal(github.count(/POST .*comments/), 1);
    assert.equal(node.warnings.length, 1);
  });

  it("makes a new comment when somebody deleted it, and a new issue when that is gone or closed", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { ttlMs: 60_000 });
    await publish(github, node);
    github.comments.length = 0;
    await passTime(github, node.clock, () => github.comments.length === 1);
    github.comments.length = 0;
    github.issues.length = 0;
    await passTime(github, node.clock, () => github.comments.length === 1);
    const [issue] = github.issues;
    assert.ok(issue);
    issue.state = "closed";
    await passTime(github, node.clock, () =>
      github.comments.some((comment) => comment.issue !== issue.number),
    );
  });

  it("does not fight over a copy of its record that belongs to somebody else", async () => {
    await using github = await GithubServer.open();
    const token = github.addToken("weak", "weak", { association: "NONE" });
    await using node = await openNode(github, { token: { from: "given", token }, ttlMs: 60_000 });
    await publish(github, node);
    const [own] = github.comments;
    assert.ok(own);
    github.comments.length = 0;
    github.addComment(own.issue, own.body, { user: "mallory", association: "NONE" });
    await passTime(github, node.clock, () => github.comments.length === 2);
    assert.equal(github.comments[1]?.user, "weak");
  });
});

describe("nodes that look for the issue", () => {
  it("take the open one of the lowest number with exactly the title, and no pull request", async () => {
    await using github = await GithubServer.open();
    for (const [title, more] of [
      [TITLE, { pullRequest: true }],
      [TITLE, { state: "closed" }],
      [`${TITLE}-2`, {}],
      [TITLE, {}],
      [TITLE, {}],
    ] as const)
      github.addIssue(title, more);
    await using node = await openNode(github);
    await publish(github, node);
    assert.equal(github.comments[0]?.issue, 4);
    assert.equal(github.issues.length, 5);
  });

  it("and create it at the same time, agree on one, and close the others", async () => {
    await using github = await GithubServer.open();
    const clock = new TestClock(NOW);
    const nodes = await Promise.all(Array.from({ length: 4 }, () => openNode(github, { clock })));
    try {
      for (const node of nodes) node.advertise();
      await passTime(github, clock, () => github.comments.length >= 4);
      await passTime(github, clock, () => github.comments.every(({ issue }) => issue === 1));
      assert.equal(github.comments.length, 4);
      await passTime(github, clock, () => github.issues.filter(({ state }) => state === "open").length === 1);
    } finally {
      for (const node of nodes) await node[Symbol.asyncDispose]();
    }
  });

  it("move to an issue of a lower number that shows up later", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    github.addIssue("something");
    await publish(github, node);
    github.issues.splice(0, 1, { number: 1, title: TITLE, state: "open", locked: false, pullRequest: false });
    await passTime(github, node.clock, () => github.comments.every(({ issue }) => issue === 1));
    await passTime(github, node.clock, () => github.comments.length === 1);
  });
});

describe("a registry that cannot be written", () => {
  for (const [status, message, hint] of [
    [401, /401/, /token/],
    [403, /403/, /Issues: read and write/],
    [404, /404/, /name of the repository/],
    [410, /410/, /Issues/],
    [422, /422/, /^$/],
  ] as const)
    it(`because of a ${status} says so once and is left alone`, async () => {
      await using github = await GithubServer.open();
      await using node = await openNode(github);
      github.fail(/POST/, { status }, 99);
      node.advertise();
      const failure = node.failure;
      let failed = false;
      void failure.then(() => (failed = true));
      await passTime(github, node.clock, () => failed);
      const facts = errorFacts(await failure);
      assert.equal(facts.code, "E_CONFIG");
      assert.match(facts.message, message);
      assert.match(facts.hint ?? "", hint);
      assert.doesNotMatch(JSON.stringify(facts), /token-of/);
    });

  for (const [name, fault] of [
    ["a server error", { status: 500 }],
    ["a lost connection", { breakOff: true }],
    ["a limit with its time", { status: 403, headers: { "retry-after": "90" } }],
    ["a limit without", { status: 403, body: { message: "You have exceeded a secondary rate limit." } }],
  ] as const)
    it(`because of ${name} is tried again after a pause`, async () => {
      await using github = await GithubServer.open();
      await using node = await openNode(github);
      github.addIssue(TITLE);
      github.fail(/GET .*comments/, fault, 2);
      node.advertise();
      await passTime(github, node.clock, () => github.count(/GET .*comments/) === 1);
      const begunAt = node.clock.now();
      await passTime(github, node.clock, () => github.comments.length === 1);
      const took = node.clock.now() - begunAt;
      assert.ok(took >= ("status" in fault && fault.status === 403 ? 120_000 : 1000), `${took} ms`);
      assert.equal(node.warnings.length, 2);
    });

  it("without a token says that it needs one", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { token: { from: "none" } });
    let failed = false;
    node.advertise();
    void node.failure.then(() => (failed = true));
    await passTime(github, node.clock, () => failed);
    assert.match(errorFacts(await node.failure).hint ?? "", /token/);
    assert.equal(github.requests.length, 0);
  });

  it("only reads where publishing is off", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { publish: false });
    assert.ok(!("advertise" in node.discovery));
  });
});

describe("expired records", () => {
  const stale = `<!-- ${TITLE}:old -->\n\`\`\`json\n{"last_seen":"2026-02-13T11:29:59","multiaddr":"/ip4/1.1.1.1/tcp/1","peer_id":"QmOld"}\n\`\`\``;

  it("of others are deleted with permission only, and nothing else is", async () => {
    await using github = await GithubServer.open();
    github.addIssue(TITLE);
    github.addComment(1, stale);
    github.addComment(1, "hello humans");
    github.addComment(1, stale.replace("11:29:59", "11:59:59"));
    await using careful = await openNode(github);
    await publish(github, careful);
    assert.equal(github.comments.length, 4);
    await using tidy = await openNode(github, { clock: careful.clock, cleanup: true });
    await publish(github, tidy);
    await passTime(github, tidy.clock, () => github.count(/DELETE/) > 0);
    assert.deepEqual(
      github.comments.slice(0, 2).map(({ id }) => id),
      [2, 3],
    );
    assert.equal(github.comments.length, 4);
  });

  it("that others may not touch are left, and a few at a time are deleted", async () => {
    await using github = await GithubServer.open();
    github.addIssue(TITLE);
    for (let i = 0; i < 30; i++) github.addComment(1, stale);
    github.fail(/DELETE/, { status: 404 });
    await using node = await openNode(github, { cleanup: true, ttlMs: 60_000 });
    await publish(github, node);
    await passTime(github, node.clock, () => github.count(/DELETE/) >= 20, 1000);
    assert.equal(github.count(/DELETE/), 20);
    await passTime(github, node.clock, () => github.comments.length <= 2, 1000);
  });
});

describe("the token of the GitHub command line tool", () => {
  it("is asked for, and again when it is refused", { skip: process.platform === "win32" }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "mcpp-gh-"));
    try {
      const gh = join(folder, "gh");
      const calls = join(folder, "calls");
      await writeFile(gh, `#!/bin/sh\necho "$@" >> ${calls}\necho tok$(grep -c . ${calls})\n`);
      await chmod(gh, 0o755);
      await using github = await GithubServer.open();
      github.addToken("tok2", "writer");
      const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
      await using node = await openNode(github, { token: { from: "gh", env } });
      assert.deepEqual(await node.find(), []);
      assert.deepEqual(
        github.requests.map(({ status }) => status),
        [401, 200],
      );
      const host = new URL(github.url).host;
      assert.equal(await readFile(calls, "utf8"), `auth token --hostname ${host}\n`.repeat(2));

      await using without = await openNode(github, { token: { from: "gh", env: { PATH: folder + "/no" } } });
      await assert.rejects(without.find(), { code: "E_CONFIG", message: /gh auth token/ });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("is that of the API's host", () => {
    assert.equal(hostOf("https://api.github.com"), "github.com");
    assert.equal(hostOf("https://ghe.example/api/v3"), "ghe.example");
    assert.equal(hostOf("https://api.octo.ghe.com"), "octo.ghe.com");
  });
});
