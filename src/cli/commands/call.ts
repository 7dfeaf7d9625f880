import { errorFacts, ToolFailedError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { TIMEOUT } from "../options.ts";

/** Calls a tool. */
export const call: Command = {
  name: "call",
  summary: "Call a tool of a node, and print its answer.",
  description:
    "Arguments are one JSON object, or key=value words: a value that is JSON counts as JSON, any other as text; key:=value must be JSON.",
  args: [
    { name: "<tool>", summary: "Name of the tool; mcpp tools lists them." },
    { name: "[arguments...]", summary: "A JSON object, or key=value words." },
  ],
  options: [TIMEOUT],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp call p2p_taskqueue_status", does: "without arguments" },
    { line: `mcpp call fs__read_file path=README.md`, does: "key=value" },
    {
      line: `mcpp call p2p_taskqueue_submit '{"task_type":"echo","model_name":"","payload":{}}'`,
      does: "JSON",
    },
  ],
  json: '{"ok":true,"tool":string,"content":object[],"structured_content":object|null}',

  async run(invocation) {
    const [name = "", ...words] = invocation.args;
    const { parseToolArguments } = await import("../arguments.ts");
    const args = parseToolArguments(words);
    const { CALL_TIMEOUT_MS, withNode } = await import("../session.ts");
    const { abortable } = await import("../../nursery/index.ts");
    const { isJsonObject } = await import("../../content/json.ts");
    const { textOf } = await import("../../client/tool.ts");
    const timeoutMs = invocation.get(TIMEOUT) ?? CALL_TIMEOUT_MS;
    await withNode(invocation, async ({ client }) => {
      const calling = abortable((signal) => client.callTool(name, args, { signal, timeoutMs }));
      const answer = await calling.catch((error: unknown) => {
        throw refusal(error) ?? error;
      });
      const { content, structuredContent } = answer;
      const text = isJsonObject(structuredContent)
        ? JSON.stringify(structuredContent, null, 2)
        : textOf(answer);
      if (answer.isError) throw new ToolFailedError(text || `tool '${name}' failed without saying why`);
      invocation.out.result(text, {
        ok: true,
        tool: name,
        content,
        structured_content: structuredContent ?? null,
      });
    });
  },
};

/** A call that the server refuses, because of the tool's name or its arguments, is a call that failed. */
function refusal(error: unknown): ToolFailedError | undefined {
  const { code, message, hint } = errorFacts(error);
  const refused = code === "E_TOOL_NOT_FOUND" || code === "E_INVALID_INPUT";
  return refused ? new ToolFailedError(message, { cause: error, hint }) : undefined;
}
