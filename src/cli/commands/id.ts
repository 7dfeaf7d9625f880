import { loadConfig } from "../../config.ts";
import type { Command } from "../command.ts";

/** Prints the peer id. */
export const id: Command = {
  name: "id",
  summary: "Print the peer id of the data folder's identity, which is made if there is none.",
  description: "Works beside a running node.",
  args: [],
  options: [],
  settings: ["dataDir"],
  client: false,
  examples: [
    { line: "mcpp id", does: "for another node's --allow-peer" },
    { line: "mcpp id --data-dir ./node-b", does: "of another data folder" },
  ],
  json: '{"ok":true,"peer_id":string,"identity_file":string}',

  async run({ flags, out }) {
    const { identityOf } = await import("../../node/identity.ts");
    const { config } = loadConfig({ flags });
    const { peerId, file } = await identityOf(config.dataDir);
    out.result(peerId, { ok: true, peer_id: peerId, identity_file: file });
  },
};
