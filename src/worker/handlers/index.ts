/** The shelf of task types that a worker knows. */
import type { Containers } from "../containers/index.ts";
import { dockerExecute } from "./docker-execute.ts";
import { dockerGithub } from "./docker-github.ts";
import { echo } from "./echo.ts";
import type { Handler } from "./handler.ts";
import { shell } from "./shell.ts";
import { type CallTool, toolCall } from "./tool-call.ts";

export type { Handler, HandlerContext } from "./handler.ts";
export type { CallTool, ToolCallContext, ToolOutcome } from "./tool-call.ts";

/** What handlers need from the node. */
export interface HandlerNeeds {
  readonly callTool: CallTool;
  /** Whether a tool says that calling it twice does what calling it once does. Default: none does. */
  readonly isRepeatable?: ((tool: string) => boolean) | undefined;
  /** Default: no task runs a container here, and none of those types is claimed. */
  readonly containers?: Containers | undefined;
}

/** One handler of each type that can be done here. */
export function createHandlers({ callTool, isRepeatable, containers }: HandlerNeeds): readonly Handler[] {
  return [
    echo,
    toolCall(callTool, isRepeatable),
    ...(containers === undefined ? [] : containerHandlers(containers)),
  ];
}

/** What a policy has nothing for is not offered. */
function containerHandlers(containers: Containers): readonly Handler[] {
  const { images, repositories, shellImage } = containers.policy;
  return [
    ...(images.length > 0 ? [dockerExecute(containers)] : []),
    ...(repositories.length > 0 ? [dockerGithub(containers)] : []),
    ...(shellImage === undefined ? [] : [shell(containers)]),
  ];
}
