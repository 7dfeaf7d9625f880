/** mcp-lite behind node:http: its fetch handler with the smallest adapter that works. */
import { once } from "node:events";
import { createServer } from "node:http";
import { McpServer, StreamableHttpTransport } from "mcp-lite";
import { answerParent } from "../shared/child.ts";

const mcp = new McpServer({ name: "bench", version: "1.0.0" });
mcp.tool("echo", {
  description: "Answers the text it was given.",
  inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  handler: ({ text }) => ({ content: [{ type: "text", text }], structuredContent: { text } }),
});
const handle = new StreamableHttpTransport().bind(mcp);

async function answer(incoming, response) {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { method, headers, url } = incoming;
  const request = new Request(`http://${headers.host}${url}`, {
    method,
    headers,
    body: Buffer.concat(chunks),
  });
  const answered = await handle(request);
  const body = Buffer.from(await answered.arrayBuffer());
  response.writeHead(answered.status, {
    ...Object.fromEntries(answered.headers),
    "content-length": body.length,
  });
  response.end(body);
}

const server = createServer((incoming, response) => void answer(incoming, response)).listen(0, "127.0.0.1");
await once(server, "listening");
answerParent({ url: () => `http://127.0.0.1:${server.address().port}/mcp` });
