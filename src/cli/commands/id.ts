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
    const { ensureDataFolder } = await import("../../data-folder.ts");
    const { loadIdentity, peerIdOf } = await import("../../p2p/identity.ts");
    const { config } = loadConfig({ flags });
    const { identity } = await ensureDataFolder(config.dataDir);
    const peerId = peerIdOf(await loadIdentity(identity));
    out.result(peerId, { ok: true, peer_id: peerId, identity_file: identity });
  },
};
