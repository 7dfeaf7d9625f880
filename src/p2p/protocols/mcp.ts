import { MCP_P2P_PROTOCOL } from "../message.ts";
import { Served } from "../serve.ts";
import type { StreamProtocol } from "./protocol.ts";

/** MCP and the calls between nodes, in frames; older Python peers speak their dialects on it too. */
export const mcpProtocol: StreamProtocol = {
  id: MCP_P2P_PROTOCOL,
  open: (context) => (stream, session, onGone) => new Served(stream, session, context, onGone),
};
