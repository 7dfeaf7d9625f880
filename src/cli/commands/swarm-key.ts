import { resolve } from "node:path";
import type { Command } from "../command.ts";
import { firstArgument } from "../options.ts";

/** Makes a swarm key. */
export const swarmKey: Command = {
  name: "swarm-key",
  summary: "Make the key of a private swarm and write it to a new file.",
  description:
    "Give the file to every node of the swarm and name it with --swarm-key-file: nodes without it do not get as far as saying who they are. A file that exists is never overwritten.",
  args: [{ name: "<file>", summary: "Where to write it; only its owner can read it." }],
  options: [],
  settings: [],
  client: false,
  examples: [{ line: "mcpp swarm-key ./swarm.key", does: "for mcpp serve --swarm-key-file ./swarm.key" }],
  json: '{"ok":true,"file":string}',

  async run(invocation) {
    const { out } = invocation;
    const file = resolve(firstArgument(invocation));
    const { createSwarmKey } = await import("../../node/swarm-key.ts");
    await createSwarmKey(file);
    out.result(file, { ok: true, file });
  },
};
