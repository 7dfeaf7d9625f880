import { MCP_P2P_PROTOCOL } from "../message.ts";
import { Served } from "../serve.ts";
import type { StreamProtocol } from "./protocol.ts";
import { PythonDialects } from "./python-dialects.ts";

/** MCP and the calls between nodes, in frames; older Python peers speak their dialects on it too. */
export const mcpProtocol: StreamProtocol = {
  id: MCP_P2P_PROTOCOL,
  open: (context) => (stream, session, onGone) => {
    const { oldWire: node, peerId, sharedToken, logger, limits, clock } = context;
    const python =
      node && new PythonDialects({ answer: { node, peerId, sharedToken, logger }, limits, clock });
    return new Served(stream, session, context, onGone, python);
  },
};
