/** The models of a node's worker, if its configuration names any. */
import type { NodeConfig } from "../config.ts";
import type { Inference, InferencePolicy } from "../worker/index.ts";
import type { Foundation } from "./foundation.ts";

/**
 * Opens the models. Loaded only where there are any, as it costs time to start.
 *
 * @returns undefined if the configuration names none
 * @throws ConfigError if there are to be local ones and their package or folder is not there
 */
export async function inferenceOf({
  config,
  nursery,
  clock,
  logger,
}: Foundation): Promise<Inference | undefined> {
  if (config.inferenceUrls.length === 0 && config.inferenceFolder === undefined) return undefined;
  const { openInference } = await import("../worker/inference/index.ts");
  const room = logger.child({ room: "inference" });
  const [first] = config.inferenceUrls;
  if (config.inferenceKey !== undefined && first !== undefined && isOpenWire(first))
    room.warn({ endpoint: first }, "the key goes to this endpoint unencrypted");
  return openInference({ nursery, clock, logger: room, policy: policyOf(config) });
}

/** Whether what is sent there can be read on the way. */
function isOpenWire(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === "http:" && !/^(127\.|localhost$|\[::1\]$)/.test(hostname);
}

function policyOf(config: NodeConfig): InferencePolicy {
  return {
    urls: config.inferenceUrls,
    key: config.inferenceKey,
    folder: config.inferenceFolder,
    models: config.inferenceModels,
    defaultModel: config.inferenceDefaultModel,
    types: config.inferenceTypes,
    promptAs: config.inferencePromptAs,
    concurrency: config.inferenceConcurrency,
    timeoutMs: config.inferenceTimeoutMs,
  };
}
