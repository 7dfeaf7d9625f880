/** What models of a worker may be used, and how much. Whoever owns the machine says so; a task can only ask for less. */

/** A task type that a model does. */
export type InferenceType = "text-generation" | "chat" | "embedding";

/** Every such type. */
export const INFERENCE_TYPES: readonly InferenceType[] = ["text-generation", "chat", "embedding"];

/** The policy of one worker. */
export interface InferencePolicy {
  /** Base URLs of endpoints, such as `http://127.0.0.1:11434/v1`. */
  readonly urls: readonly string[];
  /** Sent to the first endpoint and to no other. */
  readonly key: string | undefined;
  /** A folder of models that run in this process; undefined: none do. */
  readonly folder: string | undefined;
  /** Models that may be used, `*` at the end standing for the rest of a name. Empty: all that there are. */
  readonly models: readonly string[];
  /** The model of tasks that name none. Default: the first there is. */
  readonly defaultModel: string | undefined;
  /** Task types that are taken. */
  readonly types: readonly InferenceType[];
  /** Whether the prompt of `text-generation` goes to `/completions`, or as a message to `/chat/completions`. */
  readonly promptAs: "completion" | "chat";
  /** How many tasks are with the models at once. */
  readonly concurrency: number;
  /** The longest time that a task may take. */
  readonly timeoutMs: number;
}

/** Whether tasks may use the model. */
export function mayUse(policy: Pick<InferencePolicy, "models" | "defaultModel">, model: string): boolean {
  if (policy.models.length === 0 || model === policy.defaultModel) return true;
  return policy.models.some((allowed) =>
    allowed.endsWith("*") ? model.startsWith(allowed.slice(0, -1)) : model === allowed,
  );
}

/** The models that the policy names whole, for endpoints that do not tell theirs. */
export function namedModels({ models, defaultModel }: InferencePolicy): readonly string[] {
  const whole = models.filter((model) => !model.endsWith("*"));
  return [...new Set([...(defaultModel === undefined ? [] : [defaultModel]), ...whole])];
}
