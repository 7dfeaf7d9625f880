import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import {
  bypassesGithub,
  isP2pOnly,
  parseTags,
  priorityOfTags,
  tagsInWorkflowFile,
} from "../../src/workflow/index.ts";
import { vectors } from "./vectors.ts";

const tags = vectors(
  "workflow_tags.json",
  z.object({
    cases: z.array(
      z.object({
        tags: z.array(z.string()),
        recognised: z.array(z.string()),
        should_bypass_github: z.boolean(),
        is_p2p_only: z.boolean(),
      }),
    ),
  }),
);
const files = vectors(
  "workflow_file_tags.json",
  z.object({ cases: z.array(z.object({ text: z.string(), tags: z.array(z.string()) })) }),
);

describe("workflow tags", () => {
  it("are recognised, and decide, as in the old system", () => {
    for (const { tags: texts, recognised, should_bypass_github, is_p2p_only } of tags.cases) {
      const parsed = parseTags(texts);
      assert.deepEqual(parsed, recognised);
      assert.equal(bypassesGithub(parsed), should_bypass_github, texts.join());
      assert.equal(isP2pOnly(parsed), is_p2p_only, texts.join());
    }
  });

  it("are found in workflow files as in the old system", () => {
    for (const { text, tags: found } of files.cases) assert.deepEqual(tagsInWorkflowFile(text), found, text);
  });

  it("give the priority 8, 6 or 5", () => {
    assert.deepEqual(
      [["p2p-eligible", "p2p-only"], ["p2p-eligible"], ["unit-test"], []].map((texts) =>
        priorityOfTags(parseTags(texts)),
      ),
      [8, 6, 5, 5],
    );
  });

  it("are searched for in linear time, however a file is made", () => {
    const nasty = `${"#".repeat(200_000)}${"WORKFLOW_TAGS: ".repeat(20_000)}`;
    assert.deepEqual(tagsInWorkflowFile(nasty), []);
  });
});
