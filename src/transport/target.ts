/** A transport to whatever a target names: a URL or a command line. Multiaddrs need a libp2p host: see connect.ts. */
import type { Transport } from "@modelcontextprotocol/client";
import type { Clock } from "../clock.ts";
import { InvalidInputError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Nursery } from "../nursery/index.ts";
import type { ChildRegistry } from "./child-registry.ts";
import { childTransport } from "./child.ts";
import { parseCommandLine } from "./command-line.ts";
import { httpClientTransport } from "./http-client.ts";

/** What a transport is made with. */
export interface TargetSettings {
  readonly nursery: Nursery;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry?: ChildRegistry | undefined;
  readonly owner?: string | undefined;
  /** The environment of a started process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** @throws InvalidInputError for an empty command line or one with an open quote */
export function transportTo(target: string, settings: TargetSettings): Transport {
  if (/^https?:\/\//i.test(target)) return httpClientTransport(target, { clock: settings.clock });
  const [command, ...args] = parseCommandLine(target);
  if (command === undefined)
    throw new InvalidInputError("the target is empty", { hint: "name a URL, a multiaddr or a command" });
  return childTransport({ command, args, ...settings });
}
