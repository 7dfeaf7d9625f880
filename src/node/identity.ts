/** The peer id of a data folder, for people who have no node running yet. */
import { ensureDataFolder } from "../data-folder.ts";
import { loadIdentity, peerIdOf } from "../p2p/identity.ts";

/** Whose identity it is, and where it is kept. */
export interface FolderIdentity {
  readonly peerId: string;
  readonly file: string;
}

/** The identity of the data folder `dataDir`, which is made if there is none. Works beside a running node. */
export async function identityOf(dataDir: string): Promise<FolderIdentity> {
  const { identity } = await ensureDataFolder(dataDir);
  return { peerId: peerIdOf(await loadIdentity(identity)), file: identity };
}
