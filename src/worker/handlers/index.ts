/** The shelf of task types that a worker knows. */
import { echo } from "./echo.ts";
import type { Handler } from "./handler.ts";
import { type CallTool, toolCall } from "./tool-call.ts";

export type { Handler, HandlerContext } from "./handler.ts";
export type { CallTool, ToolCallContext, ToolOutcome } from "./tool-call.ts";

/** What handlers need from the node. */
export interface HandlerNeeds {
  readonly callTool: CallTool;
  /** Whether a tool says that calling it twice does what calling it once does. Default: none does. */
  readonly isRepeatable?: ((tool: string) => boolean) | undefined;
}

/** One handler of each type. */
export function createHandlers({ callTool, isRepeatable }: HandlerNeeds): readonly Handler[] {
  return [echo, toolCall(callTool, isRepeatable)];
}
