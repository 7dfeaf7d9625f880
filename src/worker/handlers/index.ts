/** The shelf of task types that a worker knows. */
import type { Containers } from "../containers/index.ts";
import type { Inference } from "../inference/index.ts";
import { chat } from "./chat.ts";
import { dockerExecute } from "./docker-execute.ts";
import { dockerGithub } from "./docker-github.ts";
import { echo } from "./echo.ts";
import { embedding } from "./embedding.ts";
import type { Handler } from "./handler.ts";
import { shell } from "./shell.ts";
import { textGeneration } from "./text-generation.ts";
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
  /** Default: there are no models here, and none of those types is claimed. */
  readonly inference?: Inference | undefined;
}

/** One handler of each type that can be done here. */
export function createHandlers(needs: HandlerNeeds): readonly Handler[] {
  const { callTool, isRepeatable, containers, inference } = needs;
  return [
    echo,
    toolCall(callTool, isRepeatable),
    ...(inference === undefined ? [] : inferenceHandlers(inference)),
    ...(containers === undefined ? [] : containerHandlers(containers)),
  ];
}

function inferenceHandlers(inference: Inference): readonly Handler[] {
  const handlers = [textGeneration(inference), chat(inference), embedding(inference)];
  const types: readonly string[] = inference.policy.types;
  return handlers.filter(({ type }) => types.includes(type));
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
