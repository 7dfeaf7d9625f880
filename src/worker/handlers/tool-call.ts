/** `tool.call`: calls an MCP tool, of this node or of a mounted server. */
import { isJsonObject, type JsonObject } from "../../content/json.ts";
import { InvalidInputError, isFailureClass, RemoteError } from "../../errors.ts";
import { toolNameOf } from "../../task/requirements.ts";
import { aliasesOf } from "../../task/types.ts";
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
 *
 * The call has no deadline; it ends with the task's lease or its cancellation. When it fails, the task fails with the
 * code that the tool gave, or E_TOOL_FAILED. It is tried again only
 * - if there was no answer: the server is gone, busy, late or not mounted now. The call may have had its effect, but so
 *   it may when a worker dies: a task is done at least once;
 * - if there was an answer that it failed for a reason which is not in the request, and the tool says by its annotations
 *   that it only reads or is idempotent, or the payload has `retry: true`. Any other tool that has told its end is not
 *   called a second time.
 */
export function toolCall(callTool: CallTool, isRepeatable: (tool: string) => boolean = () => false): Handler {
  return {
    type: "tool.call",
    aliases: aliasesOf("tool.call"),
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
      if (outcome.isError) throw failureOf(tool, outcome, payload["retry"] === true || isRepeatable(tool));
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

/** Failure classes that the answer of a tool shares with no answer at all. */
const UNANSWERED: ReadonlySet<string> = new Set(["busy", "timeout", "unavailable", "cancelled"]);

/** The members of a failure's structured content, as far as they are what they should be. */
interface Told {
  readonly error_code: unknown;
  readonly error: unknown;
  readonly failure_class: unknown;
  readonly retryable: unknown;
  readonly hint: unknown;
}

/**
 * A failure that was told as a result. Tools of ours, here or mounted, say its code and class as a member
 * `error_code` and `failure_class` of their structured content (see server/result.ts).
 */
function failureOf(tool: string, outcome: ToolOutcome, mayRepeat: boolean): RemoteError {
  const told = isJsonObject(outcome.structuredContent) ? outcome.structuredContent : {};
  const { error_code: code, error, failure_class: given, retryable, hint }: Partial<Told> = told;
  const guess = retryable === true ? "unavailable" : "internal";
  const failureClass = isFailureClass(given) ? given : guess;
  const facts = {
    code: typeof code === "string" ? code : "E_TOOL_FAILED",
    failureClass,
    message:
      typeof error === "string" ? error : textOf(outcome) || `tool '${tool}' failed without saying why`,
    hint: typeof hint === "string" ? hint : undefined,
  };
  return new RemoteError(facts, { final: !mayRepeat && !UNANSWERED.has(failureClass) });
}

function isText(block: unknown): block is { readonly type: "text"; readonly text: string } {
  return isJsonObject(block) && block["type"] === "text" && typeof block["text"] === "string";
}
