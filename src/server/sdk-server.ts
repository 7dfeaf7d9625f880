/**
 * One instance of the SDK's low-level server, over our own registry and dispatch.
 *
 * The SDK's `McpServer` turns every error into text, has no seam for a policy and converts schemas at each list
 * (reference: defects D4 to D7 of SDK 2.4), so only its protocol is used here: framing, negotiation, both eras.
 */
import { setImmediate } from "node:timers/promises";
import {
  type CallToolRequest,
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { Caller } from "../authority/caller.ts";
import { ToolNotFoundError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Listing } from "./listing.ts";
import type { Resources } from "./resources.ts";
import type { ProgressListener } from "./upstream.ts";

/** How long a host may keep the list of tools: mounted servers come and go. */
const LIST_TTL_MS = 5000;

/** What all instances share. */
export interface SdkServerOptions {
  readonly name: string;
  readonly version: string;
  readonly instructions?: string | undefined;
  readonly listing: Listing;
  readonly dispatch: Dispatch;
  readonly logger: Logger;
  /** Absent: the server has none. */
  readonly resources?: Resources | undefined;
}

/** Makes an instance that serves `caller`. Not yet connected. */
export function sdkServer(options: SdkServerOptions, caller: Caller): Server {
  const { name, version, instructions, listing, resources } = options;
  const server = new Server(
    { name, version },
    {
      capabilities: { tools: { listChanged: true }, ...(resources && { resources: {} }) },
      cacheHints: { "tools/list": { ttlMs: LIST_TTL_MS, cacheScope: "private" } },
      ...(instructions !== undefined && { instructions }),
    },
  );
  server.setRequestHandler("tools/list", () => listing.list(caller));
  server.setRequestHandler("tools/call", async (request, context) => {
    const result = await answer(options, caller, request, context);
    return server.projectCallToolResult(result, listing.outputSchemaOf(request.params.name));
  });
  if (resources) serveResources(server, resources, caller);
  return server;
}

function serveResources(server: Server, resources: Resources, caller: Caller): void {
  server.setRequestHandler("resources/list", (_, { mcpReq }) => resources.list(caller, mcpReq.signal));
  server.setRequestHandler("resources/templates/list", () => resources.templates);
  server.setRequestHandler("resources/read", ({ params }, { mcpReq }) =>
    resources.read(params.uri, caller, mcpReq.signal),
  );
}

async function answer(
  { dispatch, logger }: SdkServerOptions,
  caller: Caller,
  { params }: CallToolRequest,
  { mcpReq }: ServerContext,
): Promise<CallToolResult> {
  const reports = progressReports(mcpReq, logger);
  try {
    const call = { caller, signal: mcpReq.signal, onProgress: reports?.listener };
    return await dispatch.call(params.name, params.arguments ?? {}, call);
  } catch (error) {
    if (error instanceof ToolNotFoundError)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, error.message);
    throw error;
  } finally {
    await reports?.sent();
  }
}

/** Progress of one request on its way to the client. */
interface Reports {
  readonly listener: ProgressListener;
  /** Resolves when all reports are written. */
  sent(): Promise<void>;
}

/**
 * Sends progress in order, and holds the result back until the last of it is out.
 *
 * The SDK's client drops progress that arrives in one chunk with the result (reference: defect D2), so a turn of the
 * event loop is left between them. Progress must grow; what does not is left out, as the protocol wants.
 */
function progressReports({ _meta, notify }: ServerContext["mcpReq"], logger: Logger): Reports | undefined {
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return undefined;
  let last = -Infinity;
  let writing: Promise<void> | undefined;
  const write = async (before: Promise<void> | undefined, params: object): Promise<void> => {
    await before;
    try {
      await notify({ method: "notifications/progress", params: { progressToken, ...params } });
    } catch (error) {
      logger.debug({ err: error }, "progress could not be told");
    }
  };
  return {
    listener(progress, total, message) {
      if (progress <= last) return;
      last = progress;
      const told = {
        progress,
        ...(total !== undefined && { total }),
        ...(message !== undefined && { message }),
      };
      writing = write(writing, told);
    },
    async sent() {
      if (!writing) return;
      await writing;
      await setImmediate();
    },
  };
}
