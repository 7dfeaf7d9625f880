/** Registries of the Python system, against what was recorded of it (test/vectors/peer_registry.json). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as z from "zod";
import { parseComment, writeComment } from "../../../src/discovery/github-issues/comment.ts";
import { GithubServer } from "../../support/github-api.ts";
import { TestClock } from "../../support/clock.ts";
import { openNode, passTime } from "./registry.ts";

const PREFIX = "p2p-peer-registry";
/** The instant at which everything was recorded. */
const RECORDED = Date.parse("2026-02-13T12:00:00.123Z");

const commentSchema = z.object({ id: z.number(), body: z.string() });
const recorded = z
  .object({
    steps: z.array(
      z.object({
        step: z.string(),
        returns: z.unknown(),
        gh_calls: z.array(z.object({ args: z.array(z.string()), input: z.unknown() })),
        comments_after: z.array(commentSchema),
      }),
    ),
    comment_parsing: z.array(z.object({ body: z.string(), parsed: z.unknown() })),
  })
  .parse(JSON.parse(readFileSync(new URL("../../vectors/peer_registry.json", import.meta.url), "utf8")));

/** The recording names peers by words; these are ids, which a hint must have. */
const IDS: Readonly<Record<string, string>> = {
  QmA2: "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
  QmA: "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
  QmB: "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo",
  QmOld: "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq",
  QmFresh: "12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba",
  QmTz: "12D3KooWPT98FXMfDQYavZm66EeVjTqP9Nnehn1gyaydqV8L8BQw",
};

function withIds(text: string): string {
  return text.replace(/Qm[A-Za-z0-9]+/g, (word) => {
    const name = /^Qm([AB])[ab]{5,}$/.exec(word) ? word.slice(0, 3) : word.replace(/^(QmA2).*/, "$1");
    return IDS[name] ?? word;
  });
}

const stepNamed = (name: string): (typeof recorded.steps)[number] => {
  const step = recorded.steps.find(({ step: text }) => text.startsWith(name));
  assert.ok(step, name);
  return step;
};

/** A server as it was left by a step, and who is found there. */
async function foundAfter(name: string, oldAuthors = ["runner"]): Promise<readonly string[]> {
  await using github = await GithubServer.open();
  const { number } = github.addIssue(PREFIX);
  for (const { body } of stepNamed(name).comments_after)
    github.addComment(number, withIds(body), { user: "runner", association: "COLLABORATOR" });
  await using node = await openNode(github, { oldAuthors, clock: new TestClock(RECORDED) });
  return (await node.find()).map(({ multiaddrs }) => String(multiaddrs[0])).toSorted();
}

const returned = (name: string): readonly string[] =>
  z
    .array(z.object({ multiaddr: z.string() }))
    .parse(stepNamed(name).returns)
    .map(({ multiaddr }) => withIds(multiaddr))
    .toSorted();

describe("a comment of the Python registry", () => {
  for (const { body, parsed } of recorded.comment_parsing)
    it(`is read as it was there: ${JSON.stringify(body)}`, () => {
      assert.deepEqual(parseComment(PREFIX, body) ?? null, parsed);
    });

  for (const { step, gh_calls: calls } of recorded.steps)
    for (const { input } of calls) {
      const sent = z.object({ body: z.string() }).safeParse(input).data?.body;
      if (sent === undefined) continue;
      it(`is written in the same form: ${step}`, () => {
        const content = parseComment(PREFIX, sent);
        assert.ok(content);
        assert.equal(writeComment(PREFIX, String(content["runner_name"]), content), sent);
      });
    }
});

describe("a registry of the Python system", () => {
  it("gives the peers that it gave there", async () => {
    const own = "203.0.113.6";
    const all = await foundAfter("B discovers A");
    assert.deepEqual(
      all.filter((address) => !address.includes(own)),
      returned("B discovers A"),
    );
    const bootstrap = z.array(z.string()).parse(stepNamed("bootstrap addresses").returns);
    assert.deepEqual(
      all.filter((address) => !address.includes(own)),
      bootstrap.map(withIds),
    );
  });

  it("gives the fresh ones among words of people and stale ones", async () => {
    const all = await foundAfter("discovery without the zoned entry");
    assert.deepEqual(
      all.filter((address) => !address.includes("203.0.113.6")),
      returned("discovery without"),
    );
  });

  it("is not hidden by a date with a time zone, as it was there (D-43)", async () => {
    assert.deepEqual(stepNamed("discovery with junk").returns, []);
    const all = await foundAfter("discovery with junk");
    assert.deepEqual(
      all.map((address) => address.split("/")[2]),
      ["1.1.1.2", "1.1.1.3", "203.0.113.5", "203.0.113.6"],
    );
  });

  it("is not believed unless its authors are named, since nothing is signed (D-43)", async () => {
    assert.deepEqual(await foundAfter("B discovers A", []), []);
    assert.deepEqual(await foundAfter("B discovers A", ["somebody-else"]), []);
  });

  it("is the open issue of the lowest number with the exact title", async () => {
    assert.equal(stepNamed("duplicates").returns, 7);
    await using github = await GithubServer.open();
    for (const [number, title] of [
      [3, `${PREFIX}-old`],
      [7, PREFIX],
      [9, PREFIX],
    ] as const)
      github.addIssue(title, { number });
    await using node = await openNode(github);
    node.advertise();
    await passTime(github, node.clock, () => github.comments.length === 1);
    assert.equal(github.comments[0]?.issue, 7);
  });

  it("loses only what is stale when it is cleaned up", async () => {
    const before = stepNamed("discovery without the zoned entry").comments_after;
    const { comments_after: after, returns } = stepNamed("cleanup removes");
    await using github = await GithubServer.open();
    const { number } = github.addIssue(PREFIX);
    for (const { id, body } of before) github.addComment(number, body, { id: id + 1000 });
    await using node = await openNode(github, { cleanup: true, clock: new TestClock(RECORDED - 1000) });
    node.advertise();
    await passTime(github, node.clock, () => github.count(/DELETE/) > 0);
    assert.equal(github.count(/DELETE/), returns);
    assert.deepEqual(
      github.comments.filter(({ id }) => id > 1000).map(({ id }) => id - 1000),
      after.map(({ id }) => id),
    );
  });
});
