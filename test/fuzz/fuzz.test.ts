/**
 * Random and mutated messages on every face of a node.
 *
 * MCPP_FUZZ sets how many in all, MCPP_SEED which, MCPP_FACE which face (part of its name). The same seed sends the
 * same bytes; `npm run fuzz` sends a million.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FACES } from "./faces.ts";
import { fuzz } from "./run.ts";

const MESSAGES = Number(process.env["MCPP_FUZZ"] ?? 3000);
const SEED = Number(process.env["MCPP_SEED"] ?? 20_260_101);
const FACE = process.env["MCPP_FACE"] ?? "";

/** Longer than this at a time nothing may keep the event loop. */
const MAX_STALL_MS = 100;
/** The heap after a collection breathes by about this much. */
const MAX_HEAP_GROWTH_BYTES = 12 * 1024 * 1024;
/** Resident memory also holds what the allocator keeps for later. */
const MAX_RSS_GROWTH_BYTES = 96 * 1024 * 1024;

describe(`${MESSAGES} random and mutated messages, seed ${SEED}`, () => {
  for (const face of FACES.filter(({ name }) => name.includes(FACE))) {
    it(
      `on ${face.name} neither crash nor hang a node, nor fill its memory`,
      { timeout: 3_600_000 },
      async (t) => {
        const outcome = await fuzz({ face, messages: Math.ceil(MESSAGES / FACES.length), seed: SEED });
        t.diagnostic(JSON.stringify(outcome));
        assert.ok(
          outcome.worstStallMs < MAX_STALL_MS,
          `the event loop was kept for ${outcome.worstStallMs} ms`,
        );
        assert.ok(
          outcome.heapGrowthBytes < MAX_HEAP_GROWTH_BYTES,
          `the heap grew by ${outcome.heapGrowthBytes}`,
        );
        assert.ok(outcome.rssGrowthBytes < MAX_RSS_GROWTH_BYTES, `memory grew by ${outcome.rssGrowthBytes}`);
      },
    );
  }
});
