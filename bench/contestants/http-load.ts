/** Makes MCP calls over kept HTTP connections. Each call has an id of its own: with one id, sessions mis-measure. */
import { Agent, request as httpRequest } from "node:http";
import * as z from "zod";
import { answerParent } from "../shared/child.ts";
import { loadSchema, runLanes } from "../shared/sample.ts";

const order = z.object({
  url: z.string(),
  load: loadSchema,
  shape: z.object({
    headers: z.record(z.string(), z.string()),
    method: z.string(),
    params: z.record(z.string(), z.unknown()),
  }),
});

type Order = z.infer<typeof order>;
let lastId = 0;

function call(agent: Agent, { url, shape }: Order): Promise<string> {
  const id = ++lastId;
  const body = JSON.stringify({ jsonrpc: "2.0", id, method: shape.method, params: shape.params });
  return new Promise((resolve, reject) => {
    const headers = { ...shape.headers, "content-length": Buffer.byteLength(body) };
    const sent = httpRequest(url, { method: "POST", agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200 && text.includes(`"id":${id}`) && text.includes('"result"'))
          resolve(text);
        else reject(new Error(`${url} answered ${response.statusCode}: ${text.slice(0, 500)}`));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

answerParent({
  async run(input) {
    const parsed = order.parse(input);
    const agent = new Agent({ keepAlive: true, maxSockets: parsed.load.lanes });
    try {
      return await runLanes(parsed.load, () => call(agent, parsed));
    } finally {
      agent.destroy();
    }
  },
});
