/** Old operations on the node itself: its status, and calls of its tools. */
import type { JsonObject } from "../../../content/json.ts";
import { ToolNotFoundError } from "../../../errors.ts";
import { firstText, isTruthy, wrapped } from "./fields.ts";
import { type Operation, refused } from "./operation.ts";

const status: Operation = {
  names: ["status", "capabilities", "describe"],
  grant: (request) => (isTruthy(request["detail"]) ? "observe" : "status"),
  run: (request, { node }) => node.status(isTruthy(request["detail"])),
};

const callTool: Operation = {
  names: ["call_tool", "tool", "tool.call"],
  grant: (request) => `tools:${toolNamed(request)}`,
  async run(request, { node, caller, signal }) {
    if (!node.callTool) return refused("tools_disabled");
    const name = toolNamed(request);
    if (name === "") return refused("missing_tool_name");
    const args = [request["args"], request["arguments"], request["params"]].find(isTruthy) ?? {};
    try {
      return await node.callTool(name, wrapped("value", args), caller, signal);
    } catch (error) {
      if (error instanceof ToolNotFoundError) return { ...refused("tool_not_found"), tool: name };
      throw error;
    }
  },
};

/** The operations of this file. */
export const nodeOperations: readonly Operation[] = [status, callTool];

function toolNamed(request: JsonObject): string {
  return firstText(request, "tool", "tool_name", "name");
}
