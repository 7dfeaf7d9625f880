/** A small MCP server on standard streams, by the SDK, with tools that tests need. Arguments: flags below. */
import { spawn } from "node:child_process";
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";

const flags = new Set(process.argv.slice(2));
let server;

if (flags.has("--stubborn")) {
  process.on("SIGTERM", () => undefined);
  setInterval(() => undefined, 1000);
}
if (flags.has("--fail")) {
  process.stderr.write("no licence file\n");
  process.exit(3);
}
if (flags.has("--strict")) {
  process.stdin.once("data", (chunk) => {
    if (!String(chunk).includes('"initialize"')) process.exit(1);
  });
}
if (flags.has("--greet")) process.stdout.write("Welcome to tools!\n");

function text(value) {
  return { content: [{ type: "text", text: value }] };
}

function build() {
  server = new McpServer(
    { name: "tools", version: "1.0.0" },
    { capabilities: { tools: { listChanged: true } } },
  );
  server.registerTool("pid", { annotations: { readOnlyHint: true } }, () => text(String(process.pid)));
  server.registerTool("echo", { inputSchema: z.object({ value: z.unknown() }) }, ({ value }) => ({
    ...text(JSON.stringify({ value })),
    structuredContent: { value },
  }));
  server.registerTool("fail", {}, () => ({ ...text("the disk is on fire"), isError: true }));
  server.registerTool("refuse", {}, () => ({
    ...text("no such task"),
    structuredContent: { ok: false, error: "no such task", error_code: "E_TASK_NOT_FOUND" },
    isError: true,
  }));
  server.registerTool("die", {}, () => process.exit(1));
  server.registerTool("die-idempotent", { annotations: { idempotentHint: true } }, () => process.exit(1));
  server.registerTool(
    "hang",
    {},
    (ctx) =>
      new Promise((resolve) => {
        process.stderr.write("hanging\n");
        ctx.mcpReq.signal.addEventListener("abort", () => {
          process.stderr.write("cancelled\n");
          resolve(text("cancelled"));
        });
      }),
  );
  server.registerTool("count", { inputSchema: z.object({ to: z.number() }) }, async ({ to }, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (let progress = 1; progress <= to; progress++) {
      await ctx.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken, progress, total: to },
      });
    }
    return text("done");
  });
  server.registerTool("grow", {}, () => {
    server.registerTool("grown", {}, () => text("grown"));
    return text("ok");
  });
  server.registerTool("spawn", { inputSchema: z.object({ detached: z.boolean() }) }, ({ detached }) => {
    const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    const child = spawn(process.execPath, ["-e", stubborn], { stdio: "ignore", detached });
    child.unref();
    return text(String(child.pid));
  });
  return server;
}

serveStdio(build);
