/** Where MCP over HTTP may listen, and listening there. */
import { once } from "node:events";
import { createServer, isIPv4, type Server } from "node:net";
import { ConfigError } from "../../errors.ts";

/** There is no authentication on this wire: whoever reaches it is the owner. So nobody else may reach it. @throws {@link ConfigError} */
export function requireLoopback(host: string): void {
  const loopback = host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
  if (loopback) return;
  throw new ConfigError(`HTTP host '${host}'`, undefined, "must be localhost, ::1 or in 127.0.0.0/8", {
    hint: "callers over HTTP are not authenticated; reach this node from other machines over libp2p",
  });
}

/**
 * Listens; resolves when it does.
 *
 * @param port - 0 means any free one
 * @throws {@link ConfigError} if the port cannot be had, with the system's error as its cause
 */
export async function listenAt(server: Server, host: string, port: number): Promise<void> {
  try {
    const listening = once(server, "listening");
    server.listen({ host, port, exclusive: true });
    await listening;
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const hint = "stop the other process, or choose another port; port 0 takes any free one";
    if (code === "EADDRINUSE") {
      throw new ConfigError(`HTTP port ${port}`, undefined, `is already in use on ${host}`, {
        cause,
        hint,
      });
    }
    throw new ConfigError(`HTTP address ${host}:${port}`, undefined, `cannot be used: ${String(code)}`, {
      cause,
    });
  }
}

/** The beginning of the URLs of a server that listens, such as `http://127.0.0.1:8000`. */
export function originOf(server: Server, host: string): string {
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Finds out whether a port can be had, before a node opens all that has to be closed again if it cannot.
 *
 * @throws {@link ConfigError} if it cannot
 */
export async function requirePort(host: string, port: number): Promise<void> {
  requireLoopback(host);
  if (port === 0) return;
  const server = createServer();
  await listenAt(server, host, port);
  const closed = once(server, "close");
  server.close();
  await closed;
}
