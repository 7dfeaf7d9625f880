/** What a node believes of what stands below the issue. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { publicKeyToProtobuf } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { writeComment } from "../../../src/discovery/github-issues/comment.ts";
import { signRecord } from "../../../src/discovery/github-issues/record.ts";
import { believed } from "../../../src/p2p/hearsay.ts";
import { GithubServer } from "../../support/github-api.ts";
import { discoveryConformance } from "../conformance.ts";
import { NOW, openNode } from "./registry.ts";

const TITLE = "p2p-peer-registry";

interface Writer {
  readonly key: PrivateKey;
  readonly peerId: string;
  readonly multiaddr: string;
}

async function newWriter(type: "Ed25519" | "RSA" = "Ed25519"): Promise<Writer> {
  const key = type === "RSA" ? await generateKeyPair("RSA", 2048) : await generateKeyPair("Ed25519");
  const peerId = peerIdFromPrivateKey(key).toString();
  return { key, peerId, multiaddr: `/ip4/203.0.113.9/tcp/9710/p2p/${peerId}` };
}

interface Changes {
  readonly namespace?: string;
  readonly issuedAtMs?: number;
  readonly expiresAtMs?: number;
  readonly multiaddrs?: readonly string[];
  readonly signer?: PrivateKey;
}

async function record({ key, peerId, multiaddr }: Writer, changes: Changes = {}): Promise<string> {
  const { signer = key, ...more } = changes;
  const times = { issuedAtMs: NOW, expiresAtMs: NOW + 600_000 };
  const facts = { namespace: TITLE, peerId, multiaddrs: [multiaddr], ...times, ...more };
  const publicKey = key.type === "RSA" ? publicKeyToProtobuf(key.publicKey) : undefined;
  const content = await signRecord(facts, async (bytes) => signer.sign(bytes), publicKey);
  return writeComment(TITLE, peerId, content);
}

discoveryConformance("a registry on GitHub Issues", async () => {
  const github = await GithubServer.open();
  const writer = await newWriter();
  github.addComment(github.addIssue(TITLE).number, await record(writer));
  const node = await openNode(github);
  const { peerId, multiaddr } = writer;
  return {
    discovery: node.discovery,
    peerId,
    multiaddr,
    async [Symbol.asyncDispose]() {
      await node[Symbol.asyncDispose]();
      await github[Symbol.asyncDispose]();
    },
  };
});

describe("a registry that is read", () => {
  it("is empty, and creates nothing, where there is no issue", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    assert.deepEqual(await node.find(), []);
    assert.equal(github.count(/^(POST|PATCH|DELETE)/), 0);
  });

  it("is asked once in a while only, whoever looks how often, and an unchanged page costs nothing", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    const [writer, late] = [await newWriter(), await newWriter()];
    const { number } = github.addIssue(TITLE);
    github.addComment(number, await record(writer));
    await Promise.all(Array.from({ length: 20 }, () => node.find()));
    assert.equal(github.count(/./), 2);

    github.addComment(number, await record(late));
    assert.equal((await node.find()).length, 1);
    node.clock.jump(30_000);
    assert.equal((await node.find()).length, 2);

    const before = github.requests.length;
    const token = github.tokens.get(`token-of-${node.peerId}`);
    const remaining = token?.remaining;
    node.clock.jump(30_000);
    assert.equal((await node.find()).length, 2);
    assert.ok(github.requests.length > before);
    assert.deepEqual([...new Set(github.requests.slice(before).map(({ status }) => status))], [304]);
    assert.equal(token?.remaining, remaining);
  });

  it("is read to its last page, also when a page has filled up unseen", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    const { number } = github.addIssue(TITLE);
    for (let i = 0; i < 99; i++) github.addComment(number, `words of people ${i}`);
    const writers = await Promise.all(Array.from({ length: 3 }, () => newWriter()));
    const bodies = await Promise.all(writers.map((writer) => record(writer)));
    github.addComment(number, bodies[0] ?? "");
    assert.equal((await node.find()).length, 1);
    // The first page stays as it is, and so does its entity tag; only its link header tells of the second.
    github.addComment(number, bodies[1] ?? "");
    node.clock.jump(30_000);
    assert.equal((await node.find()).length, 2);
    for (let i = 0; i < 150; i++) github.addComment(number, "more words");
    github.addComment(number, bodies[2] ?? "");
    node.clock.jump(30_000);
    assert.equal((await node.find()).length, 3);
    assert.ok(github.requests.some(({ path }) => path.includes("page=3")));
  });

  it("hides nobody because of one comment that is odd, forged, foreign or out of date", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { oldAuthors: ["owner"] });
    const [good, forger, rsa] = [await newWriter(), await newWriter(), await newWriter("RSA")];
    const { number } = github.addIssue(TITLE);
    const genuine = await record(good);
    const bad = [
      "",
      "hello humans",
      `<!-- ${TITLE}:x -->`,
      `<!-- ${TITLE}:x -->\n\`\`\`json\nnull\n\`\`\``,
      `<!-- ${TITLE}:x -->\n\`\`\`json\n{"record":7}\n\`\`\``,
      `<!-- ${TITLE}:x -->\n\`\`\`json\n{"peer_id":"Qm","multiaddr":"?","last_seen":"yesterday"}\n\`\`\``,
      await record(await newWriter(), { signer: forger.key }),
      await record(await newWriter(), { namespace: "another" }),
      await record(await newWriter(), { issuedAtMs: NOW - 900_000, expiresAtMs: NOW - 300_000 }),
      await record(await newWriter(), { issuedAtMs: NOW + 600_000, expiresAtMs: NOW + 1_200_000 }),
      await record(await newWriter(), { expiresAtMs: NOW + 7 * 86_400_000 }),
      await record(await newWriter(), { multiaddrs: [good.multiaddr, "nonsense", "/ip4/10.0.0.1/tcp/1"] }),
      (await record(await newWriter())).replaceAll("/tcp/9710", "/tcp/9711"),
    ];
    for (const body of bad) github.addComment(number, body);
    github.addComment(number, genuine);
    github.addComment(number, await record(rsa));
    github.comments.push({ id: 7, issue: number, body: genuine, user: null, association: "NONE" });
    const hints = await node.find();
    assert.deepEqual(new Set(hints.map(({ peerId }) => peerId)), new Set([good.peerId, rsa.peerId]));
  });

  it("counts the newest record of a peer, and none of a time that is over", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { refreshMs: 3_600_000 });
    const writer = await newWriter();
    const { number } = github.addIssue(TITLE);
    const moved = `/dns4/node.example.org/tcp/443/wss/p2p/${writer.peerId}`;
    github.addComment(number, await record(writer, { multiaddrs: [moved], issuedAtMs: NOW + 1000 }));
    github.addComment(number, await record(writer));
    const [hint] = await node.find();
    assert.deepEqual(hint?.multiaddrs, [moved]);
    // The date header has whole seconds.
    node.clock.jump(600_000 + 120_000 + 1000);
    assert.deepEqual(await node.find(), []);
  });

  it("is judged by GitHub's clock, not by this machine's", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    github.addComment(github.addIssue(TITLE).number, await record(await newWriter()));
    github.now = () => NOW;
    node.clock.shiftEpoch(-5 * 86_400_000);
    assert.equal((await node.find()).length, 1);
  });

  it("believes those who belong to the repository, or those who are named", async () => {
    await using github = await GithubServer.open();
    const { number } = github.addIssue(TITLE);
    const [member, bot, stranger] = [await newWriter(), await newWriter(), await newWriter()];
    github.addComment(number, await record(member), { user: "ann", association: "MEMBER" });
    github.addComment(number, await record(bot), { user: "ci[bot]", association: "NONE" });
    github.addComment(number, await record(stranger), { user: "mallory", association: "NONE" });
    const found = async (authors: readonly string[]): Promise<readonly (string | undefined)[]> => {
      await using node = await openNode(github, { authors });
      return (await node.find()).map(({ peerId }) => peerId);
    };
    assert.deepEqual(await found([]), [member.peerId]);
    assert.deepEqual(await found(["CI[bot]"]), [bot.peerId]);
    assert.equal((await found(["*"])).length, 3);
  });

  it("leads to no loopback or private address unless that was asked for", async () => {
    await using github = await GithubServer.open();
    const writer = await newWriter();
    const local = ["127.0.0.1", "192.168.1.9", "169.254.1.1"].map(
      (host) => `/ip4/${host}/tcp/1/p2p/${writer.peerId}`,
    );
    const body = await record(writer, { multiaddrs: [...local, writer.multiaddr] });
    github.addComment(github.addIssue(TITLE).number, body);
    await using careful = await openNode(github);
    const [hint] = await careful.find();
    assert.deepEqual(believed(hint?.multiaddrs ?? [], careful.discovery.trust), [writer.multiaddr]);
    await using trusting = await openNode(github, { localAddresses: true });
    const [all] = await trusting.find();
    assert.equal(believed(all?.multiaddrs ?? [], trusting.discovery.trust).length, 4);
  });
});

describe("a registry that cannot be read", () => {
  const failures = [
    ["a server error", { status: 502 }],
    ["an unavailable service", { status: 503, headers: { "retry-after": "30" } }],
    ["half a document", { truncate: true }],
    ["a broken connection", { breakOff: true }],
    ["a lost answer", { loseAnswer: true }],
    ["something else than a list", { status: 200, body: { message: "welcome" } }],
    ["a secondary limit", { status: 429, headers: { "retry-after": "60" } }],
    ["no permission", { status: 403 }],
    ["no repository", { status: 404 }],
  ] as const;
  for (const [name, fault] of failures)
    it(`because of ${name} is what was read before, and works again later`, async () => {
      await using github = await GithubServer.open();
      await using node = await openNode(github);
      const { number } = github.addIssue(TITLE);
      const body = await record(await newWriter(), { expiresAtMs: NOW + 7_200_000 });
      github.addComment(number, body);
      const before = await node.find();
      assert.equal(before.length, 1);
      node.clock.jump(30_000);
      github.addComment(number, "new");
      github.fail(name === "no repository" ? /issues$/ : /comments$/, fault);
      assert.deepEqual(await node.find(), before);
      assert.equal(node.warnings.length, 1);
      // Nobody asks again before the pause is over.
      const asked = github.requests.length;
      assert.deepEqual(await node.find(), before);
      assert.equal(github.requests.length, asked);
      node.clock.jump(3_600_000);
      assert.deepEqual(await node.find(), before);
      assert.ok(github.requests.length > asked);
      assert.equal(node.warnings.length, 1);
    });

  it("fails with the reason while nothing was ever read, and never names the token", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { token: { from: "given", token: "ghp_wrong" } });
    await assert.rejects(node.find(), (error) => {
      assert.ok(error instanceof Error);
      assert.equal("code" in error && error.code, "E_CONFIG");
      assert.match(error.message, /401, Bad credentials/);
      assert.ok(!JSON.stringify([error.message, error.stack, error.cause, error]).includes("ghp_wrong"));
      return true;
    });
    assert.deepEqual(await node.find(), []);
  });

  it("waits until the rate limit is reset, by GitHub's clock", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    github.addComment(
      github.addIssue(TITLE).number,
      await record(await newWriter(), { expiresAtMs: NOW + 86_000_000 }),
    );
    github.now = () => NOW + 5000 + node.clock.now();
    node.clock.shiftEpoch(3_600_000);
    const token = github.tokens.get(`token-of-${node.peerId}`);
    assert.ok(token);
    token.remaining = 0;
    await assert.rejects(node.find(), { code: "E_BUSY" });
    const asked = github.requests.length;
    node.clock.jump(3_598_000);
    assert.deepEqual(await node.find(), []);
    assert.equal(github.requests.length, asked);
    token.remaining = 5000;
    node.clock.jump(3_600_000 * 0.1);
    assert.equal((await node.find()).length, 1);
  });

  it("is asked less often without a token, for which an unchanged page is not free", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github, { token: { from: "none" } });
    await node.find();
    node.clock.jump(60_000);
    await node.find();
    assert.equal(github.requests.length, 1);
    node.clock.jump(60_000);
    await node.find();
    assert.equal(github.requests.length, 2);
  });

  it("goes on for the second caller when the first gives up", async () => {
    await using github = await GithubServer.open();
    await using node = await openNode(github);
    github.addComment(github.addIssue(TITLE).number, await record(await newWriter()));
    const held = Promise.withResolvers<void>();
    github.fail(/GET/, { until: held.promise });
    const impatient = new AbortController();
    const first = node.discovery.find(undefined, impatient.signal);
    const second = node.find();
    impatient.abort();
    await assert.rejects(first);
    held.resolve();
    assert.equal((await second).length, 1);
  });
});
