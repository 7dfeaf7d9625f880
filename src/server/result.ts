/** What a tool returned or threw, as the result of an MCP call: the same object as structure and as text. */
import type { CallToolResult } from "@modelcontextprotocol/server";
import { isJsonObject, type JsonObject } from "../content/json.ts";
import { errorFacts, RemoteError } from "../errors.ts";

/** The code of a failure that a tool reported as a value and without a code, as old peers do. */
const UNCODED = "E_TOOL_FAILED";

/** The result for what a tool returned. An object with `ok: false` is a failure and gets a code if it has none. */
export function resultOf(value: unknown): CallToolResult {
  if (!isJsonObject(value)) return asResult({ ok: true, value }, false);
  return value["ok"] === false ? asResult({ error_code: UNCODED, ...value }, true) : asResult(value, false);
}

/** The result for what a tool threw. */
export function failureOf(error: unknown): CallToolResult {
  const facts = errorFacts(error);
  const failure = {
    ok: false,
    error: facts.message,
    error_code: facts.code,
    failure_class: facts.failureClass,
    retryable: new RemoteError(facts).retryable,
    ...(facts.hint !== undefined && { hint: facts.hint }),
  };
  return asResult(failure, true);
}

/**
 * Up to this size, in bytes of JSON, a result is repeated as text for hosts that read only that. As text in a
 * message its quotes double, so three times this must fit into a message of 16 MiB. No model reads a text of this size.
 */
const MAX_TEXT_BYTES: number = 4 * 1024 * 1024;

/** The result as text; of a large one only where to find it. */
function textOf(structured: JsonObject): string {
  const text = JSON.stringify(structured);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_TEXT_BYTES) return text;
  return `The result has ${bytes} bytes of JSON, too many to repeat here: read structuredContent.`;
}

function asResult(structured: JsonObject, isError: boolean): CallToolResult {
  return {
    content: [{ type: "text", text: textOf(structured) }],
    structuredContent: { ...structured },
    ...(isError && { isError }),
  };
}
