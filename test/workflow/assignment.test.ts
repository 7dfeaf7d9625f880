import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ownerOf, rankOwners, taskHash } from "../../src/workflow/index.ts";

const peers = (count: number): { peerId: string }[] =>
  Array.from({ length: count }, (_, i) => ({ peerId: `12D3KooWPeer${i}` }));
const tasks = Array.from({ length: 4000 }, (_, i) => taskHash(`task-${i}`, "echo", ""));

describe("the owner by weighted rendezvous hashing", () => {
  it("is nobody where nobody is, and nobody who has no weight", () => {
    assert.equal(ownerOf("t", []), undefined);
    assert.equal(
      ownerOf("t", [
        { peerId: "a", weight: 0 },
        { peerId: "b", weight: Number.NaN },
      ]),
      undefined,
    );
  });

  it("does not depend on the order in which peers were heard of, nor on repeats", () => {
    for (const task of tasks.slice(0, 500)) {
      const list = peers(20);
      const other = [...list.toReversed(), ...list.slice(5, 9)];
      assert.deepEqual(rankOwners(task, list), rankOwners(task, other));
    }
  });

  it("moves only the tasks of a peer that leaves, and each to the one who was next", () => {
    const list = peers(10);
    const left = list.slice(1);
    for (const task of tasks) {
      const [first, second] = rankOwners(task, list);
      const expected = first?.peerId === list[0]?.peerId ? second : first;
      assert.equal(ownerOf(task, left), expected?.peerId);
    }
  });

  it("gives each peer its share: within 15 % for equal weights, twice as much for twice the weight", () => {
    const equal = shares(peers(8));
    for (const share of equal.values()) assert.ok(Math.abs(share - 1 / 8) < 0.15 / 8, `${share}`);
    const weighted = shares(peers(3).map((peer, i) => ({ ...peer, weight: i === 0 ? 2 : 1 })));
    assert.ok(Math.abs((weighted.get("12D3KooWPeer0") ?? 0) - 0.5) < 0.04, JSON.stringify([...weighted]));
  });
});

function shares(candidates: readonly { peerId: string; weight?: number }[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const task of tasks) {
    const owner = ownerOf(task, candidates) ?? "";
    counts.set(owner, (counts.get(owner) ?? 0) + 1 / tasks.length);
  }
  return counts;
}
