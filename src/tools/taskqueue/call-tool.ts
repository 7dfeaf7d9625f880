import * as z from "zod";
import { jsonObject } from "../../content/json.ts";
import { MAX_NAME_CHARS } from "../../task/task.ts";
import { acts } from "../annotations.ts";
import { defineTool, type Tool } from "../tool.ts";
import { deadlineOf, targetFields, targetOf, timeoutField } from "./target.ts";

/** Runs a tool of a node. */
export const callTool: Tool = defineTool({
  name: "p2p_taskqueue_call_tool",
  description:
    "Call an MCP tool of another node, or of a server mounted there, and return its result at once. For calls that take long or must not be lost, submit a task of type tool.call instead.",
  input: z.strictObject({
    tool_name: z
      .string()
      .trim()
      .min(1)
      .max(MAX_NAME_CHARS)
      .describe("Name of the tool, as that node lists it"),
    args: jsonObject.nullish().describe("Arguments of the tool"),
    ...targetFields,
    timeout_s: timeoutField(30),
  }),
  output: z.looseObject({
    ok: z.boolean(),
    tool: z.string().optional(),
    result: z.unknown().optional().describe("What the tool returned"),
    peer_id: z.string().optional().describe("Peer id of the node that ran it"),
  }),
  annotations: acts("Call a tool of a node"),
  grant: ({ tool_name: name }) => `tools:${name}`,
  deadlineMs: deadlineOf,

  async run(input, context) {
    const answer = await context.callTool(
      targetOf(input),
      input.tool_name,
      input.args ?? {},
      deadlineOf(input),
    );
    return { ok: true, ...answer };
  },
});
