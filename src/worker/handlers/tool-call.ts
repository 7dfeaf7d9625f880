/** `tool.call`: calls an MCP tool, of this node or of a mounted server. */
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { InvalidInputError, ToolFailedError } from "../../errors.ts";
import { toolNameOf } from "../../task/routing.ts";
import type { Handler } from "./handler.ts";

/** What a tool gave, as far as a task's result needs it. */
export interface ToolOutcome {
  readonly content?: readonly unknown[] | undefined;
  readonly structuredContent?: unknown;
  readonly isError?: boolean | undefined;
}

/** Options of one call. */
export interface ToolCallContext {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total?: number, message?: string) => void;
}

/** Calls the tool `name`. @throws ToolNotFoundError, UnreachableError, … */
export type CallTool = (name: string, args: JsonObject, context: ToolCallContext) => Promise<ToolOutcome>;

/**
 * The handler of `tool.call`. The payload names the tool (`tool`, `tool_name` or `name`) and its arguments (`args`,
 * `arguments` or `params`; what is no object becomes `{ value }`). The result is `{ tool, result }`, where `result` is
 * the structured content, or the content blocks; if there are both and not all blocks are text, `content` has them.
 */
export function toolCall(callTool: CallTool): Handler {
  return {
    type: "tool.call",
    aliases: ["tool"],
    async run({ payload }, { signal, progress }) {
      const tool = toolNameOf(payload);
      if (tool === undefined) throw new InvalidInputError("the payload names no tool: give `tool` or `name`");
      const onProgress = (done: number, total?: number, message?: string): void => {
        progress({
          done,
          ...(total === undefined ? {} : { total }),
          ...(message === undefined ? {} : { message }),
        });
      };
      const outcome = await callTool(tool, argumentsOf(payload), { signal, onProgress });
      if (outcome.isError)
        throw new ToolFailedError(textOf(outcome) || `tool '${tool}' failed without saying why`);
      return { tool, ...resultOf(outcome) };
    },
  };
}

function argumentsOf(payload: JsonObject): JsonObject {
  for (const key of ["args", "arguments", "params"]) {
    const value = payload[key];
    if (value === undefined || value === null) continue;
    return isJsonObject(value) ? value : { value };
  }
  return {};
}

function resultOf({ content = [], structuredContent }: ToolOutcome): JsonObject {
  if (structuredContent === undefined) return { result: content };
  // Text beside structured content says the same again (MCP, tools); pictures and resources do not.
  return content.every(isText) ? { result: structuredContent } : { result: structuredContent, content };
}

function textOf({ content = [] }: ToolOutcome): string {
  return content.flatMap((block) => (isText(block) ? [block.text] : [])).join("\n");
}

function isText(block: unknown): block is { readonly type: "text"; readonly text: string } {
  return isJsonObject(block) && block["type"] === "text" && typeof block["text"] === "string";
}
