/** `mcpp serve --stdio` on a data folder whose node runs already: standard input and output are passed on to that node. */
import type { LoadedConfig } from "../config.ts";
import { holderOf } from "../data-folder.ts";
import { bridgeStdio } from "../connect.ts";
import { abortable, sleep } from "../nursery/index.ts";
import type { Output } from "./output.ts";
import { announcedAddress } from "./target.ts";

/** A node that has just taken the folder has announced itself within this time, or never does. */
const ANNOUNCE_MS = 10_000;
const LOOK_EVERY_MS = 100;

/**
 * Passes MCP on to the node that has the data folder, until the input ends.
 *
 * @returns false if the folder has become free meanwhile, so that a node can be started on it
 * @throws `refused` if that node cannot be reached; ConnectionLostError if it ends before the input
 */
export async function bridgeToHolder(
  { config }: LoadedConfig,
  out: Output,
  refused: unknown,
): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < ANNOUNCE_MS; waitedMs += LOOK_EVERY_MS) {
    const holder = await holderOf(config.dataDir);
    if (holder === undefined) return false;
    const address = await announcedAddress(config, holder);
    if (address !== undefined) {
      out.note(
        `the node with pid ${holder.pid} has the data folder ${config.dataDir}: passing MCP on to it at ${address}; its settings are in force, not those given here`,
      );
      const { stdin, stdout } = process;
      const { token, swarmKeyFile } = config;
      await abortable((signal) => bridgeStdio(address, { stdin, stdout, signal, token, swarmKeyFile }));
      return true;
    }
    await sleep(LOOK_EVERY_MS);
  }
  throw refused;
}
