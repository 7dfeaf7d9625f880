/** The shelf of discoveries: one file each, one line here. */
import type { Mechanism } from "../p2p/index.ts";
import type { Discovery } from "../peer/discovery.ts";
import { announceFileDiscovery } from "./announce-file.ts";
import { bootstrapDiscovery } from "./bootstrap.ts";
import { rendezvous } from "./rendezvous/rendezvous.ts";

export {
  type AnnounceFacts,
  type AnnounceHandle,
  announceFileDiscovery,
  type Announcement,
  readAnnounce,
  writeAnnounce,
} from "./announce-file.ts";
export { bootstrapDiscovery } from "./bootstrap.ts";

/** Where to look for peers. */
export interface DiscoveryConfig {
  /** Files that other nodes write; none means that files are not looked at. */
  readonly announceFiles: readonly string[];
  /** Multiaddrs of known peers. */
  readonly bootstrap: readonly string[];
  /** Under which nodes look for each other. */
  readonly namespace: string;
  /** Multiaddrs of rendezvous nodes. */
  readonly rendezvous: readonly string[];
  /** Whether this node is a rendezvous node. */
  readonly rendezvousServer: boolean;
  /** Whether rendezvous records without a signature are dealt with. */
  readonly rendezvousUnsigned: boolean;
  readonly dht: "off" | "private" | "public";
  /** Multiaddrs by which to enter the DHT; empty: those of `bootstrap`, or the public ones. */
  readonly dhtBootstrap: readonly string[];
  readonly dhtMode: "auto" | "server" | "client";
}

/** The discoveries that `config` asks for. @throws ConfigError if an address is none */
export function createDiscoveries(config: DiscoveryConfig): readonly Discovery[] {
  return [
    ...(config.announceFiles.length > 0 ? [announceFileDiscovery(config.announceFiles)] : []),
    ...(config.bootstrap.length > 0 ? [bootstrapDiscovery(config.bootstrap)] : []),
  ];
}

/** Those of them that run over libp2p itself, to be opened with the host. @throws ConfigError if an address is none */
export async function createMechanisms(config: DiscoveryConfig): Promise<readonly Mechanism[]> {
  const mechanisms: Mechanism[] = [];
  if (config.rendezvous.length > 0 || config.rendezvousServer) {
    mechanisms.push(
      rendezvous({
        points: config.rendezvous,
        namespace: config.namespace,
        server: config.rendezvousServer,
        unsigned: config.rendezvousUnsigned,
      }),
    );
  }
  if (config.dht !== "off") {
    // A node without it need not wait for its packages, nor have them in memory.
    const { dht } = await import("./dht/dht.ts");
    const bootstrap = config.dhtBootstrap.length > 0 ? config.dhtBootstrap : config.bootstrap;
    mechanisms.push(
      dht({ network: config.dht, mode: config.dhtMode, bootstrap, namespace: config.namespace }),
    );
  }
  return mechanisms;
}
