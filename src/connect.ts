/** A client for a URL, a command line, a multiaddr, or a node in this process. */
import type { Readable, Writable } from "node:stream";
import type { Transport } from "@modelcontextprotocol/client";
import { createAuthority } from "./authority/authority.ts";
import { openClient, type Client } from "./client/index.ts";
import { type Clock, systemClock } from "./clock.ts";
import { childEnvironment } from "./config.ts";
import { type Logger, silentLogger } from "./logger.ts";
import type { JsonObject } from "./content/json.ts";
import { abortable, type NurseryHost, openHost } from "./nursery/index.ts";
import { pump } from "./transport/pump.ts";
import { stdioTransport } from "./transport/stdio.ts";
import { transportTo } from "./transport/target.ts";

/** Something in this process that can be connected to: a node. */
export interface Connectable {
  connect(): Promise<Transport>;
}

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** Gives up connecting. */
  readonly signal?: AbortSignal | undefined;
  /** How long connecting, and a call that names no time, may take. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Shared token to prove to a peer; at least 32 characters. Only for multiaddrs. */
  readonly token?: string | undefined;
  /** Identity file to call a peer with, so that its allow-list can know the caller. Default: a fresh identity. */
  readonly identityFile?: string | undefined;
  /** File with the key of the private swarm that the peer is in. Only for multiaddrs. Default: none. */
  readonly swarmKeyFile?: string | undefined;
  /** How often a call is repeated where that is safe. Default 3. */
  readonly retries?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly logger?: Logger | undefined;
}

/**
 * Connects to an MCP server.
 *
 * @param target - an http(s) URL; a multiaddr (begins with `/`, best with `/p2p/<peer id>` at its end); a {@link Connectable};
 *   or else a command line, whose process is started and ended with the client
 * @throws UnreachableError if nobody is there, DeadlineError, CancelledError, InvalidInputError for a target that is none
 */
export async function connect(
  target: string | URL | Connectable,
  options: ConnectOptions = {},
): Promise<Client> {
  const clock = options.clock ?? systemClock;
  const logger = options.logger ?? silentLogger;
  const host = openHost({ clock, name: "client" });
  const closing: (() => Promise<void>)[] = [];
  try {
    const openTransport = await opener(target, { ...options, clock, logger, host, closing });
    const { signal, timeoutMs, retries } = options;
    const client = await openClient({
      openTransport,
      target: nameOf(target),
      nursery: host.nursery,
      clock,
      logger,
      signal,
      timeoutMs,
      retries,
    });
    return closingWith(client, () => closeAll(host, closing));
  } catch (error) {
    await closeAll(host, closing);
    throw error;
  }
}

/**
 * One call, from connecting to closing: the seed's one-liner.
 *
 * @returns the tool's structured content, or what of its answer there is
 * @throws what {@link connect} throws, and ToolFailedError or the tool's own error
 */
export async function callTool(
  target: string | URL | Connectable,
  name: string,
  args: JsonObject = {},
  options: ConnectOptions = {},
): Promise<JsonObject> {
  const client = await connect(target, options);
  try {
    return await client.call(name, args, { signal: options.signal, timeoutMs: options.timeoutMs });
  } finally {
    await client.close();
  }
}

/** Options of {@link bridgeStdio}. */
export interface BridgeOptions extends Pick<
  ConnectOptions,
  "signal" | "token" | "swarmKeyFile" | "clock" | "logger"
> {
  readonly stdin: Readable;
  readonly stdout: Writable;
}

/**
 * Passes MCP, of either era, between a pair of streams and the server at `target`, until the input ends.
 *
 * @throws UnreachableError if nobody is at `target`; ConnectionLostError if it ends before the input; CancelledError
 */
export async function bridgeStdio(target: string, options: BridgeOptions): Promise<void> {
  const { clock = systemClock, logger = silentLogger, signal, stdin, stdout } = options;
  const host = openHost({ clock, name: "bridge" });
  const closing: (() => Promise<void>)[] = [];
  const bridge = async (): Promise<void> => {
    const openTransport = await opener(target, { ...options, clock, logger, host, closing });
    const far = await abortable((inner) => openTransport(inner));
    await pump(stdioTransport({ stdin, stdout, clock }), far);
  };
  try {
    await host.nursery.run(bridge, { signal }, "bridge");
  } finally {
    await closeAll(host, closing);
  }
}

interface Opening extends ConnectOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly host: NurseryHost;
  readonly closing: (() => Promise<void>)[];
}

type OpenTransport = (signal: AbortSignal) => Promise<Transport>;

async function opener(target: string | URL | Connectable, opening: Opening): Promise<OpenTransport> {
  if (target instanceof URL) return opener(target.href, opening);
  if (typeof target !== "string") return () => target.connect();
  if (target.startsWith("/") && /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr|p2p)\//.test(target))
    return peerOpener(target, opening);
  const { host, clock, logger } = opening;
  return () =>
    Promise.resolve(transportTo(target, { nursery: host.nursery, clock, logger, env: childEnvironment() }));
}

/** libp2p is loaded only when a peer is meant: it costs half a second. */
async function peerOpener(multiaddr: string, opening: Opening): Promise<OpenTransport> {
  const { createReach, loadIdentity, newIdentity, openP2pHost, readSwarmKey } =
    await import("./p2p/index.ts");
  const { p2pTransport } = await import("./transport/p2p.ts");
  const { createPeerTable } = await import("./peer/table.ts");
  const { createDnsaddr, dnsaddrMechanism } = await import("./discovery/index.ts");
  const { clock, logger, host, identityFile, swarmKeyFile, token, closing } = opening;
  const p2p = await openP2pHost({
    privateKey: identityFile === undefined ? await newIdentity() : await loadIdentity(identityFile),
    listen: [],
    nursery: host.nursery,
    clock,
    logger,
    authority: createAuthority(),
    methods: [],
    sharedToken: token,
    swarmKey: swarmKeyFile === undefined ? undefined : await readSwarmKey(swarmKeyFile),
    discoveries: [],
    mechanisms: [
      ...(await createReach({ relayVia: [], holePunch: true, autonat: false, upnp: false })),
      dnsaddrMechanism(createDnsaddr({ clock })),
    ],
    table: createPeerTable({ clock }),
  });
  closing.push(() => p2p.close());
  return async (signal) => p2pTransport(await p2p.openChannel({ multiaddr }, { signal }));
}

function nameOf(target: string | URL | Connectable): string {
  if (typeof target === "string") return target;
  return target instanceof URL ? target.href : "this process";
}

async function closeAll(host: NurseryHost, closing: readonly (() => Promise<void>)[]): Promise<void> {
  try {
    for (const close of closing) await close();
  } finally {
    await host.close();
  }
}

/** The client, whose end is also the end of what it was connected through. */
function closingWith(client: Client, closeRest: () => Promise<void>): Client {
  let closed: Promise<void> | undefined;
  const closeBoth = async (): Promise<void> => {
    try {
      await client.close();
    } finally {
      await closeRest();
    }
  };
  const close = (): Promise<void> => (closed ??= closeBoth());
  return {
    target: client.target,
    get serverInfo() {
      return client.serverInfo;
    },
    get protocolVersion() {
      return client.protocolVersion;
    },
    get closed() {
      return client.closed;
    },
    listTools: (options) => client.listTools(options),
    callTool: (name, args, options) => client.callTool(name, args, options),
    call: (name, args, options) => client.call(name, args, options),
    close,
    [Symbol.asyncDispose]: close,
  };
}
