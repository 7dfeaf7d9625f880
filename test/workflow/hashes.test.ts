import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import * as z from "zod";
import { hammingDistance, peerHash, taskHash, workflowTaskHash } from "../../src/workflow/index.ts";
import { vectors } from "./vectors.ts";

const hashes = vectors(
  "task_hashes.json",
  z.object({
    taskqueue: z.array(
      z.object({ task_id: z.string(), task_type: z.string(), model_name: z.string(), task_hash: z.string() }),
    ),
    workflow: z.array(z.object({ task_id: z.string(), workflow_id: z.string(), task_hash: z.string() })),
    peer_hash: z.array(z.object({ peer_id: z.string(), sha256: z.string() })),
  }),
);
const hamming = vectors(
  "hamming.json",
  z.object({
    cases: z.array(
      z.object({
        a: z.string(),
        b: z.string(),
        workflow: z.union([z.number(), z.string()]),
        note: z.string(),
      }),
    ),
  }),
);

describe("the hashes of tasks and peers", () => {
  it("are those of the old queue", () => {
    for (const { task_id, task_type, model_name, task_hash } of hashes.taskqueue)
      assert.equal(taskHash(task_id, task_type, model_name), task_hash, task_id);
  });

  it("are those of the old workflow scheduler", () => {
    for (const { task_id, workflow_id, task_hash } of hashes.workflow)
      assert.equal(workflowTaskHash(task_id, workflow_id), task_hash, task_id);
  });

  it("are those of the old peers", () => {
    for (const { peer_id, sha256 } of hashes.peer_hash) assert.equal(peerHash(peer_id), sha256, peer_id);
  });
});

describe("the Hamming distance", () => {
  it("is the recorded one, and an error where the original has one", () => {
    for (const { a, b, workflow, note } of hamming.cases) {
      if (typeof workflow === "number") assert.equal(hammingDistance(a, b), workflow, `${a} ${b} ${note}`);
      else assert.throws(() => hammingDistance(a, b), { code: "E_INVALID_INPUT" }, note);
    }
  });

  it("is what counting the bits of bytes gives, for 500 pairs of hashes", () => {
    const digest = fc.string().map((text) => createHash("sha256").update(text).digest());
    fc.assert(
      fc.property(digest, digest, (a, b) => {
        let bits = 0;
        for (const [i, byte] of a.entries()) {
          for (let rest = byte ^ (b[i] ?? 0); rest > 0; rest &= rest - 1) bits += 1;
        }
        assert.equal(hammingDistance(a.toString("hex"), b.toString("hex")), bits);
      }),
      { numRuns: 500, seed: 7 },
    );
  });
});
