/** Models for tasks: what there is, and the work that is under way. */
export { type Inference, type InferenceOptions, openInference } from "./inference.ts";
export { INFERENCE_TYPES, type InferencePolicy, type InferenceType } from "./policy.ts";
