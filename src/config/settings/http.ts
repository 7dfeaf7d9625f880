/** Settings of MCP over HTTP. */
import { integer, list, onOff, text } from "../kind.ts";
import { names, type SettingTable } from "./setting.ts";

/** More than any machine has cores for. */
const MAX_PROCESSES = 64;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/;
const origin = text(
  "origin",
  "an origin as browsers send it, such as https://app.example or http://localhost:5173: lower case, without a path; * is not allowed",
  /^https?:\/\/[^\sA-Z/*?#@,]+$/,
);
const loopback = text(
  "address",
  "a loopback address such as 127.0.0.1 (MCP over HTTP has no authentication in this version, so it is not offered to other machines; peers reach the node over libp2p)",
  LOOPBACK,
);

/** MCP over HTTP. */
export const HTTP: Pick<SettingTable, "http" | "host" | "port" | "mountPath" | "corsOrigins" | "processes"> =
  {
    http: { ...names("http"), kind: onOff(), fallback: () => true, summary: "Serve MCP over HTTP." },
    host: {
      ...names("host"),
      kind: loopback,
      fallback: () => "127.0.0.1",
      summary: "Address that HTTP listens on; loopback only.",
    },
    port: {
      ...names("port"),
      kind: integer("port", 0, 65_535),
      fallback: () => 8000,
      summary: "Port that HTTP listens on; 0 takes any free one.",
    },
    mountPath: {
      ...names("mount-path"),
      kind: text("path", "a URL path such as /mcp", /^\/[\w\-./~]*$/),
      fallback: () => "/mcp",
      summary: "URL path of the MCP endpoint.",
    },
    processes: {
      ...names("processes"),
      kind: integer("n", 1, MAX_PROCESSES),
      fallback: () => 1,
      summary:
        "How many processes serve HTTP and work on one queue; one of them has the peers and the mounted servers. SIGHUP replaces them one by one.",
    },
    corsOrigins: {
      ...names("cors-origin"),
      env: "MCPP_CORS_ORIGINS",
      key: "cors_origins",
      kind: list(origin),
      fallback: () => [],
      fallbackText: "none",
      summary: "Origins whose web pages may use the node over HTTP, with the rights of its owner.",
    },
  };
