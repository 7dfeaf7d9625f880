/** The floor: node:http, JSON in, the same JSON out. */
import { once } from "node:events";
import { createServer } from "node:http";
import * as z from "zod";
import { answerParent } from "../shared/child.ts";

type Request = { readonly id: unknown; readonly params: { readonly arguments: unknown } };

const server = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("end", () => {
    const message: Request = JSON.parse(Buffer.concat(chunks).toString());
    const text = JSON.stringify(message.params.arguments);
    const result = { content: [{ type: "text", text }], structuredContent: message.params.arguments };
    const body = JSON.stringify({ jsonrpc: "2.0", id: message.id, result });
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
    });
    response.end(body);
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = z.object({ port: z.int() }).parse(server.address());
answerParent({ url: () => `http://127.0.0.1:${port}/mcp` });
