import * as z from "zod";
import { reads } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { answeredBy, answerFields, clockAnswer, clockFields } from "./answer.ts";

/** Gives the clock of the scheduler. */
export const getMerkleClock: Tool = defineTool({
  name: "p2p_get_merkle_clock",
  description:
    "The vector clock of this node's workflow scheduler: how many events each node has counted, and the hash of all entries.",
  input: z.strictObject({}),
  output: z.object({ ...clockFields, ...answerFields }),
  annotations: reads("Clock of the workflow scheduler"),
  grant: "observe",

  async run(_, context) {
    return { ...clockAnswer(context.scheduler().vector), ...answeredBy("p2p_get_merkle_clock", context) };
  },
});
