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
    failure_class: facts.failureClass,
    retryable: new RemoteError(facts).retryable,
    ...(facts.hint !== undefined && { hint: facts.hint }),
  };
  return answer(failure, true);
}

/**
 * Up to this size, in bytes of JSON, a result is repeated as text for hosts that read only that. As text in a
 * message its quotes double, so three times this must fit into a message of 16 MiB. No model reads a text of this size.
 */
const MAX_TEXT_BYTES: number = 4 * 1024 * 1024;

function answer(structured: JsonObject, isError: boolean): ToolAnswer {
  return { structured, text: JSON.stringify(structured), isError };
}

/** The text block of a result; of a large one only where to find it. */
function blockOf(text: string): string {
  // Counting bytes reads all of the text, and most results are far from the limit whatever they are made of.
  if (text.length * 3 <= MAX_TEXT_BYTES) return text;
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_TEXT_BYTES) return text;
  return `The result has ${bytes} bytes of JSON, too many to repeat here: read structuredContent.`;
}

/** The answer as a result of MCP. */
export function asResult({ structured, text, isError }: ToolAnswer): CallToolResult {
  return {
    content: [{ type: "text", text: blockOf(text) }],
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
  return `{"content":[{"type":"text","text":${JSON.stringify(blockOf(text))}}],"structuredContent":${text},${error}"resultType":"complete","_meta":${metaText}}`;
}
