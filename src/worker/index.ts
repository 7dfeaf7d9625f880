/** Workers: claim, run, renew, deliver. */
export { type ContainerPolicy, type Containers, openContainers } from "./containers/index.ts";
export {
  type CallTool,
  createHandlers,
  type Handler,
  type HandlerContext,
  type HandlerNeeds,
  type ToolCallContext,
  type ToolOutcome,
} from "./handlers/index.ts";
export { Delivery, type DeliveryOptions } from "./delivery.ts";
export type { Inference, InferencePolicy, InferenceType } from "./inference/index.ts";
export type { QueueSource, SourceStats } from "./source.ts";
export { startWorker, type Worker, type WorkerOptions, type WorkerStats } from "./worker.ts";
