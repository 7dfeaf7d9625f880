import * as z from "zod";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { placementOf } from "../../workflow/placement.ts";
import { MAX_TAGS } from "../../workflow/scheduler/index.ts";
import { bypassesGithub, isP2pOnly, parseTags } from "../../workflow/tags.ts";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields } from "./answer.ts";

/** Says where a workflow with these tags may run. */
export const checkWorkflowTags: Tool = defineTool({
  name: "p2p_check_workflow_tags",
  description:
    "Say what the tags of a workflow mean: whether it should run on the peer-to-peer network instead of GitHub, and whether it may run nowhere else.",
  input: z.strictObject({
    tags: z.array(z.string().max(MAX_NAME_CHARS)).max(MAX_TAGS).describe("Tags; unknown ones do not count"),
  }),
  output: z.object({
    should_bypass_github: z.boolean(),
    is_p2p_only: z.boolean(),
    tags: z.array(z.string()),
    placement: z.enum(["p2p-only", "p2p-preferred", "github", "anywhere"]),
    ...answerFields,
  }),
  annotations: reads("Check workflow tags"),
  grant: "status",

  async run({ tags: given }, context) {
    const tags = parseTags(given);
    return {
      should_bypass_github: bypassesGithub(tags),
      is_p2p_only: isP2pOnly(tags),
      tags: given,
      placement: placementOf(tags),
      ...answeredBy("p2p_check_workflow_tags", context),
    };
  },
});
