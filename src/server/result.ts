/** What a tool returned or threw, as the result of an MCP call: the same object as structure and as text. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { errorFacts, RemoteError } from "../errors.ts";

/** The code of a failure that a tool reported as a value and without a code, as old peers do. */
const UNCODED = "E_TOOL_FAILED";

/** How a call ended. */
export interface ToolAnswer {
  readonly structured: JsonObject;
  /** The JSON text of {@link structured}, which every form of the result needs: written once. */
  readonly text: string;
  readonly isError: boolean;
}

/** The answer for what a tool returned. An object with `ok: false` is a failure and gets a code if it has none. */
export function answerOf(value: unknown): ToolAnswer {
  if (!isJsonObject(value)) return answer({ ok: true, value }, false);
  return value["ok"] === false ? answer({ error_code: UNCODED, ...value }, true) : answer(value, false);
}

/** The answer for what a tool threw. */
export function failureOf(error: unknown): ToolAnswer {
  const facts = errorFacts(error);
  const failure = {
    ok: false,
    error: facts.message,
    error_code: facts.code,
    retryable: new RemoteError(facts).retryable,
    ...(facts.hint !== undefined && { hint: facts.hint }),
  };
  return answer(failure, true);
}

function answer(structured: JsonObject, isError: boolean): ToolAnswer {
  return { structured, text: JSON.stringify(structured), isError };
}

/** The answer as a result of MCP. */
export function asResult({ structured, text, isError }: ToolAnswer): CallToolResult {
  return {
    content: [{ type: "text", text }],
    structuredContent: { ...structured },
    ...(isError && { isError }),
  };
}

/**
 * The JSON text of {@link asResult} as the stateless era has it on the wire.
 *
 * @param metaText - JSON text of the result's `_meta`
 */
export function asResultText({ text, isError }: ToolAnswer, metaText: string): string {
  const error = isError ? `"isError":true,` : "";
  return `{"content":[{"type":"text","text":${JSON.stringify(text)}}],"structuredContent":${text},${error}"resultType":"complete","_meta":${metaText}}`;
}
