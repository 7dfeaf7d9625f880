/** Ways to carry MCP, one file each. To add one: its file, and a line here. */
export {
  DEFAULT_MAX_SESSIONS,
  DEFAULT_MCP_PATH,
  type HandedConnections,
  HTTP_DRAIN_MS,
  type HttpOptions,
  type HttpServer,
  MAX_HTTP_BODY_BYTES,
  type SessionRecord,
  startHttp,
} from "./http.ts";
export { listenAt, originOf, requireLoopback, requirePort } from "./http/listen.ts";
export { memoryPair } from "./memory.ts";
export { MAX_LINE_BYTES, type StdioOptions, stdioTransport } from "./stdio.ts";
export { type ChildTransport, type ChildTransportOptions, childTransport } from "./child.ts";
export { type ChildRegistry, openChildRegistry, reapOrphans } from "./child-registry.ts";
export { parseCommandLine } from "./command-line.ts";
export { httpClientTransport } from "./http-client.ts";
export { p2pTransport } from "./p2p.ts";
export { type TargetSettings, transportTo } from "./target.ts";
export { pump } from "./pump.ts";
