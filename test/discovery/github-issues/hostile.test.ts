/** What hostile people write below the issue hides nobody and is believed by nobody. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { isJsonObject, type JsonObject } from "../../../src/content/json.ts";
import { writeComment } from "../../../src/discovery/github-issues/comment.ts";
import { signRecord } from "../../../src/discovery/github-issues/record.ts";
import { GithubServer } from "../../support/github-api.ts";
import { NOW, openNode } from "./registry.ts";

const TITLE = "p2p-peer-registry";
const MAX_CHARS = 65_536;
/** Somebody who does not belong to the repository. */
const STRANGER = { user: "stranger", association: "NONE" };

interface Writer {
  readonly key: PrivateKey;
  readonly peerId: string;
  readonly multiaddr: string;
}

async function newWriter(): Promise<Writer> {
  const key = await generateKeyPair("Ed25519");
  const peerId = peerIdFromPrivateKey(key).toString();
  return { key, peerId, multiaddr: `/ip4/203.0.113.5/tcp/4001/p2p/${peerId}` };
}

async function content({ key, peerId, multiaddr }: Writer, issuedAtMs = NOW): Promise<JsonObject> {
  const times = { issuedAtMs, expiresAtMs: issuedAtMs + 600_000 };
  const facts = { namespace: TITLE, peerId, multiaddrs: [multiaddr], ...times };
  return signRecord(facts, async (bytes) => key.sign(bytes));
}

/** The same with more members in the signed part, which the signature therefore does not fit. */
function padded(signed: JsonObject, more: JsonObject): JsonObject {
  const record = isJsonObject(signed["record"]) ? signed["record"] : {};
  return { ...signed, record: { ...record, ...more } };
}

function deep(levels: number): string {
  return `${"[".repeat(levels)}${"]".repeat(levels)}`;
}

describe("a registry below which hostile people write", { timeout: 60_000 }, () => {
  it("is read whole, whatever single comments hold", async () => {
    await using github = await GithubServer.open();
    const [honest, liar] = [await newWriter(), await newWriter()];
    const { number } = github.addIssue(TITLE);
    const signed = await content(liar);
    const comment = (value: JsonObject): string => writeComment(TITLE, liar.peerId, value);
    const bodies = [
      "x".repeat(MAX_CHARS),
      `<!-- ${TITLE}:${liar.peerId} -->\n\`\`\`json\n${deep(30_000)}\n\`\`\``,
      `<!-- ${TITLE}:x -->\n\`\`\`json\n{"record":{"version":1,"namespace":"${TITLE}","x":${deep(20_000)}}}\n\`\`\``,
      comment({ record: null, signature: 1 }),
      comment(padded(signed, { x: "\ud800" })),
      comment(padded(signed, { x: JSON.parse(deep(2000)) })),
      comment(padded(signed, { multiaddrs: Array.from({ length: 17 }, () => liar.multiaddr) })),
      comment(padded(signed, { multiaddrs: [`/dns4/${"a".repeat(1000)}/tcp/1/p2p/${liar.peerId}`] })),
      comment(padded(signed, { peer_id: honest.peerId, multiaddrs: [honest.multiaddr] })),
      comment({ ...signed, signature: "" }),
      comment({ ...signed, signature: "A".repeat(1000) }),
      writeComment(TITLE, liar.peerId, await content(liar, NOW - 3_600_000)),
      writeComment(TITLE, liar.peerId, await content(liar, NOW + 3_600_000)),
      `<!-- ${TITLE}:${liar.peerId} -->\n\`\`\`json\n{"__proto__":{"record":1},"record":[]}\n\`\`\``,
    ];
    // Even where the hostile belong to the repository.
    for (const body of bodies) github.addComment(number, body);
    github.addComment(number, writeComment(TITLE, honest.peerId, await content(honest)));
    await using node = await openNode(github);
    assert.deepEqual(
      (await node.find()).map(({ peerId, multiaddrs }) => [peerId, multiaddrs]),
      [[honest.peerId, [honest.multiaddr]]],
    );
    assert.deepEqual(node.warnings, []);
  });

  it("names nobody whom strangers signed, and no old address that somebody has sent again", async () => {
    await using github = await GithubServer.open();
    const { number } = github.addIssue(TITLE);
    const honest = await newWriter();
    const moved = { ...honest, multiaddr: honest.multiaddr.replace("4001", "4002") };
    const before = writeComment(TITLE, honest.peerId, await content(honest, NOW - 60_000));
    github.addComment(number, writeComment(TITLE, honest.peerId, await content(moved)));
    for (let i = 0; i < 120; i++) github.addComment(number, before, { user: "member" });
    for (let i = 0; i < 80; i++) {
      const other = await newWriter();
      github.addComment(number, writeComment(TITLE, other.peerId, await content(other)), STRANGER);
    }
    await using node = await openNode(github);
    assert.deepEqual(
      (await node.find()).map(({ multiaddrs }) => multiaddrs),
      [[moved.multiaddr]],
    );
  });

  it("is read as far as GitHub lets comments be written, and no further", async () => {
    await using github = await GithubServer.open();
    const { number } = github.addIssue(TITLE);
    const honest = await newWriter();
    github.addComment(number, writeComment(TITLE, honest.peerId, await content(honest)));
    for (let i = 0; i < 5000; i++) github.addComment(number, `<!-- ${TITLE}:${i} -->`, STRANGER);
    await using node = await openNode(github);
    assert.equal((await node.find()).length, 1);
    assert.ok(github.count(/comments/) <= 26, `${github.count(/comments/)} requests`);
  });
});
