import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import * as z from "zod";
import { legacyOwner, merkleClockRoot, workflowTaskHash } from "../../src/workflow/index.ts";
import { vectors } from "./vectors.ts";

const owners = vectors(
  "owner_selection.json",
  z.object({
    cases: z.array(
      z.object({
        name: z.string(),
        peers_in_order: z.array(z.string()),
        clock_hash: z.string(),
        task_hash: z.string(),
        owner: z.string(),
        owner_if_reversed: z.string(),
      }),
    ),
  }),
);
const workflowOwners = vectors(
  "workflow_owner.json",
  z.object({
    cases: z.array(
      z.object({
        self: z.string(),
        known_peers_in_order: z.array(z.string()),
        clock: z.object({ vector: z.record(z.string(), z.number()), merkle_root: z.string() }),
        task_id: z.string(),
        workflow_id: z.string(),
        owner: z.string(),
      }),
    ),
  }),
);

describe("the owner by the old rule", () => {
  it("is the one that the old queue names, in either order of the peers", () => {
    for (const { name, peers_in_order: peers, clock_hash, task_hash, ...expected } of owners.cases) {
      assert.equal(legacyOwner(peers, clock_hash, task_hash) ?? "", expected.owner, name);
      const reversed = peers.toReversed();
      assert.equal(
        legacyOwner(reversed, clock_hash, task_hash) ?? "",
        expected.owner_if_reversed,
        `${name}, reversed`,
      );
    }
  });

  it("is the one that the old workflow scheduler names: itself first, then the peers it knows", () => {
    for (const { self, known_peers_in_order, clock, task_id, workflow_id, owner } of workflowOwners.cases) {
      const root = merkleClockRoot(Object.entries(clock.vector));
      assert.equal(root, clock.merkle_root);
      const named = legacyOwner(
        [self, ...known_peers_in_order],
        root,
        workflowTaskHash(task_id, workflow_id),
      );
      assert.equal(named, owner, task_id);
    }
  });

  it("agrees with a second writing of clock, hashes and choice in 1,000 random cases", () => {
    const peers = fc.array(fc.string({ unit: "binary", maxLength: 12 }), { maxLength: 12 });
    const entries = fc.uniqueArray(
      fc.tuple(fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), fc.bigInt(0n, 10n ** 25n)),
      { selector: ([id]) => id, maxLength: 8 },
    );
    fc.assert(
      fc.property(peers, entries, fc.string(), fc.string(), (ids, counters, taskId, workflowId) => {
        const root = secondRoot(counters);
        assert.equal(merkleClockRoot(counters), root);
        const hash = workflowTaskHash(taskId, workflowId);
        assert.equal(legacyOwner(ids, root, hash), secondOwner(ids, root, `${taskId}:${workflowId}`));
      }),
      { numRuns: 1000, seed: 11 },
    );
  });
});

const points = (text: string): number[] => Array.from(text, (char) => char.codePointAt(0) ?? 0);
const sha = (text: string): Buffer => createHash("sha256").update(text).digest();

/** By UTF-32 arrays and a hand-written escape, unlike the one under test. */
function secondRoot(entries: readonly (readonly [string, bigint])[]): string {
  const sorted = entries.toSorted(([a], [b]) => {
    const [left, right] = [points(a), points(b)];
    const at = left.findIndex((point, i) => point !== right[i]);
    return at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1);
  });
  const short: Readonly<Record<string, string>> = {
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
    "\\": "\\\\",
  };
  const quoted = (text: string): string =>
    text
      .split("")
      .map((unit) => {
        const code = unit.charCodeAt(0);
        return short[unit] ?? (code < 32 || code > 126 ? `\\u${code.toString(16).padStart(4, "0")}` : unit);
      })
      .join("");
  return sha(`[${sorted.map(([id, count]) => `["${quoted(id)}", ${count}]`).join(", ")}]`).toString("hex");
}

function secondOwner(ids: readonly string[], root: string, taskText: string): string | undefined {
  const wanted = sha(`${root}:${sha(taskText).toString("hex")}`);
  const distances = ids
    .map((id) => id.trim())
    .filter(Boolean)
    .map((id) => ({ id, distance: popcount(sha(id), wanted) }));
  return distances.toSorted((a, b) => a.distance - b.distance)[0]?.id;
}

function popcount(a: Buffer, b: Buffer): number {
  return a.reduce((sum, byte, i) => sum + (byte ^ (b[i] ?? 0)).toString(2).replaceAll("0", "").length, 0);
}
