import { text } from "../../config/kind.ts";
import { ToolNotFoundError } from "../../errors.ts";
import { nearMiss } from "../../config/near-miss.ts";
import type { Command, Option } from "../command.ts";

const SCHEMA: Option<string> = {
  flag: "schema",
  kind: text("tool", "the name of a tool"),
  summary: "Print the input and output schema of one tool instead.",
};

/** Lists tools. */
export const tools: Command = {
  name: "tools",
  summary: "List the tools of a node, with those of its mounted servers.",
  args: [],
  options: [SCHEMA],
  settings: ["dataDir", "tokenFile"],
  client: true,
  examples: [
    { line: "mcpp tools", does: "names and descriptions" },
    { line: "mcpp tools --schema p2p_taskqueue_submit", does: "what a tool takes and gives" },
  ],
  json: '{"ok":true,"tools":[{"name":string,"description":string,"inputSchema":object,"outputSchema"?:object,…as MCP lists them}]}',

  async run(invocation) {
    const { withNode } = await import("../session.ts");
    const { table } = await import("../table.ts");
    const { abortable } = await import("../../nursery/index.ts");
    await withNode(invocation, async ({ client }) => {
      const listed = await abortable((signal) => client.listTools({ signal }));
      const wanted = invocation.get(SCHEMA);
      if (wanted === undefined) {
        const rows = listed.map((tool) => [tool.name, firstSentence(tool.description ?? "")]);
        invocation.out.result(table(rows, invocation.out.isTerminal ? ["TOOL", "WHAT IT DOES"] : undefined), {
          ok: true,
          tools: listed,
        });
        return;
      }
      const tool = listed.find(({ name }) => name === wanted);
      if (!tool)
        throw unknownTool(
          wanted,
          listed.map(({ name }) => name),
        );
      const { inputSchema, outputSchema } = tool;
      invocation.out.result(JSON.stringify({ input: inputSchema, output: outputSchema }, null, 2), {
        ok: true,
        tools: [tool],
      });
    });
  },
};

function unknownTool(wanted: string, names: readonly string[]): ToolNotFoundError {
  const near = nearMiss(wanted, names);
  return new ToolNotFoundError(wanted, { hint: near ? `did you mean ${near}?` : "`mcpp tools` lists them" });
}

function firstSentence(description: string): string {
  return /^[^]*?[.!?](?=\s|$)/.exec(description)?.[0].replaceAll(/\s+/g, " ") ?? description;
}
