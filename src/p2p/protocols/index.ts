/** All protocols that a host serves. */
import { mcpProtocol } from "./mcp.ts";
import type { StreamProtocol } from "./protocol.ts";
import { taskQueueProtocol } from "./task-queue/index.ts";

/** The shelf: one line for each protocol. */
export const STREAM_PROTOCOLS: readonly StreamProtocol[] = [mcpProtocol, taskQueueProtocol];
