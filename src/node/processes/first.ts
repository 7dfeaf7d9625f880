/**
 * The first process of a node, as the others see it: it has the peers and the mounted servers, so whatever needs those
 * is asked of it, as a client of its MCP server over its Unix socket.
 */
import { type Client, type Mounts, openClient, openMounts, type ToolInfo } from "../../client/index.ts";
import type { Clock } from "../../clock.ts";
import { isJsonObject } from "../../content/json.ts";
import { ToolNotFoundError, UnreachableError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { type Nursery, sleep } from "../../nursery/index.ts";
import type { Tool, ToolContext } from "../../tools/index.ts";
import { httpClientTransport } from "../../transport/index.ts";
import type { Foundation } from "../foundation.ts";
import { FIRST, type ProcessShare, socketPath } from "./share.ts";

/** How long a call waits for the first process while that is being replaced: as long as it may drain, and start. */
const HOLD_MS = 30_000;
const HOLD_PAUSE_MS = 100;
/** Names of tools of mounted servers have this in them. */
const MOUNTED = "__";

/** Tools that tell what only the first process knows, whatever their arguments are. */
const OF_FIRST: ReadonlySet<string> = new Set([
  "list_peers",
  "p2p_doctor",
  "p2p_why",
  "p2p_taskqueue_status",
  "p2p_taskqueue_heartbeat",
  "p2p_taskqueue_call_tool",
  "p2p_scheduler_status",
  "p2p_submit_task",
  "p2p_get_next_task",
  "p2p_mark_task_complete",
  "p2p_update_peer_state",
  "p2p_get_merkle_clock",
]);
/** Arguments that name another node; not empty, they need the peers. */
const TARGETS = ["remote_multiaddr", "remote_peer_id", "peer_id"];

/** What the other processes need of the first. */
export interface FirstProcess {
  /** Its mounted servers' tools, as if they were mounted here. */
  readonly mounts: Pick<Mounts, "listTools" | "call" | "onChanged" | "status" | "close">;
  /** `tool`, with the calls that need the first process made there. */
  throughFirst(tool: Tool): Tool;
  close(): Promise<void>;
}

/** Gets ready to ask the first process; connects when there is something to ask. */
export function openFirstProcess(
  { config, nursery, clock, logger }: Foundation,
  { sockets }: ProcessShare,
): FirstProcess {
  const path = socketPath(sockets, FIRST);
  const url = `http://localhost${config.mountPath}`;
  const openTransport = async (): Promise<ReturnType<typeof httpClientTransport>> =>
    httpClientTransport(url, { clock, socketPath: path });
  const caller = new Calls({ nursery, clock, logger, openTransport });
  // Only for the list of tools, which it keeps up to date.
  const listed = openMounts({
    mounts: config.mounts.length === 0 ? [] : [{ name: "first", target: url }],
    openTransport,
    nursery,
    clock,
    logger,
  });
  const offered = (): readonly ToolInfo[] =>
    listed
      .tools()
      .filter(({ originalName }) => originalName.includes(MOUNTED))
      .map(({ mount: _mount, originalName, ...info }) => ({ ...info, name: originalName }));
  return {
    mounts: {
      listTools: offered,
      onChanged: (listener) => listed.onChanged(listener),
      status: () => [],
      close: () => listed.close(),
      async call(name, args, options = {}) {
        if (!offered().some((tool) => tool.name === name)) throw new ToolNotFoundError(name);
        return caller.held((client) => client.callTool(name, args, options));
      },
    },
    throughFirst: (tool) => ({ ...tool, parse: (args) => parsedThrough(tool, args, caller) }),
    close: () => caller.close(),
  };
}

/** As the tool parses it; but run at the first process, if it needs what only that has. */
function parsedThrough(tool: Tool, args: unknown, caller: Calls): ReturnType<Tool["parse"]> {
  const call = tool.parse(args);
  if (!isJsonObject(args) || !(OF_FIRST.has(tool.name) || TARGETS.some((name) => isNamed(args[name]))))
    return call;
  const run = (context: ToolContext): Promise<unknown> =>
    caller.held((client) =>
      client.call(tool.name, args, {
        signal: context.signal,
        onProgress: (...progress) => context.progress(...progress),
        timeoutMs: call.deadlineMs,
      }),
    );
  return { ...call, run };
}

function isNamed(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

interface CallsOptions {
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly openTransport: () => Promise<ReturnType<typeof httpClientTransport>>;
}

/** Calls at the first process, over one client that is opened at the first of them. */
class Calls {
  readonly #options: CallsOptions;
  #client: Promise<Client> | undefined;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** While nobody is there, which means that nothing was begun, the call waits. */
  async held<T>(call: (client: Client) => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const untilMs = clock.now() + HOLD_MS;
    for (;;) {
      try {
        return await call(await this.#open());
      } catch (error) {
        // What a tool answers is never this one.
        if (!(error instanceof UnreachableError) || clock.now() >= untilMs) throw error;
      }
      await sleep(HOLD_PAUSE_MS);
    }
  }

  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined);
    await client?.close();
  }

  async #open(): Promise<Client> {
    const opening = (this.#client ??= openClient({
      ...this.#options,
      target: "the first process",
      retries: 0,
    }));
    try {
      return await opening;
    } catch (error) {
      if (this.#client === opening) this.#client = undefined;
      throw error;
    }
  }
}
