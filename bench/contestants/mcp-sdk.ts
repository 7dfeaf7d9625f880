/** The official SDK's own handler on node:http. */
import { once } from "node:events";
import { createServer } from "node:http";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { answerParent } from "../shared/child.ts";

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  server.registerTool(
    "echo",
    { description: "Answers the text it was given.", inputSchema: z.object({ text: z.string() }) },
    async ({ text }) => ({ content: [{ type: "text", text }], structuredContent: { text } }),
  );
  return server;
});
const answer = toNodeHandler(handler);
const http = createServer((request, response) => {
  const { method = "POST", url = "/" } = request;
  void answer(Object.assign(request, { method, url }), response);
}).listen(0, "127.0.0.1");
await once(http, "listening");
const { port } = z.object({ port: z.int() }).parse(http.address());
answerParent({ url: () => `http://127.0.0.1:${port}/mcp` });
