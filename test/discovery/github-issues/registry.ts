/** A registry on the local server, with time that the test owns. */
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { githubIssuesDiscovery } from "../../../src/discovery/github-issues/discovery.ts";
import type { GithubIssuesConfig } from "../../../src/discovery/index.ts";
import { type Logger, silentLogger } from "../../../src/logger.ts";
import { isCancelled, openHost } from "../../../src/nursery/index.ts";
import type { Discovery, SelfDescription } from "../../../src/peer/discovery.ts";
import { TestClock } from "../../support/clock.ts";
import type { GithubServer } from "../../support/github-api.ts";

/** How long a request may take from the timer that causes it to the server; if it is longer, it is made again. */
const REQUEST_BEGINS_MS = 4;

/** When everything happens. */
export const NOW: number = Date.parse("2026-02-13T12:00:00.123Z");

/** A node as a registry sees it. */
export interface TestNode extends AsyncDisposable {
  readonly peerId: string;
  readonly multiaddr: string;
  readonly clock: TestClock;
  readonly discovery: Discovery;
  readonly self: SelfDescription;
  /** What advertising failed with, once it has. */
  readonly failure: Promise<unknown>;
  /** Log lines of level warn. */
  readonly warnings: string[];
  find(peerId?: string): ReturnType<Discovery["find"]>;
  /** Begins to publish this node. */
  advertise(): void;
  /** Changes the node's addresses. */
  move(multiaddrs: readonly string[]): void;
}

/** What a test may choose. */
export interface TestNodeOptions extends Partial<GithubIssuesConfig> {
  readonly clock?: TestClock;
  readonly host?: string;
  readonly key?: PrivateKey;
}

/** Opens a node on `github`. */
export async function openNode(github: GithubServer, options: TestNodeOptions = {}): Promise<TestNode> {
  const { clock = new TestClock(NOW), host = "203.0.113.7", key, ...config } = options;
  github.now = () => clock.epochMs();
  const privateKey = key ?? (await generateKeyPair("Ed25519"));
  const { publicKey } = privateKey;
  const peerId = peerIdFromPrivateKey(privateKey).toString();
  const tasks = openHost({ clock });
  const warnings: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (facts, text) => void warnings.push(textOf(facts, text)) };
  const common = { publicKey, nursery: tasks.nursery, clock, logger, random: () => 0.5 };
  const discovery = githubIssuesDiscovery(
    {
      repository: github.repository,
      title: "p2p-peer-registry",
      api: github.url,
      token: { from: "given", token: github.addToken(`token-of-${peerId}`, "writer") },
      ttlMs: 1_800_000,
      refreshMs: 30_000,
      authors: [],
      oldAuthors: [],
      publish: true,
      localAddresses: false,
      cleanup: false,
      ...config,
    },
    { peerId, ...common },
  );
  const multiaddr = `/ip4/${host}/tcp/9710/p2p/${peerId}`;
  let multiaddrs: readonly string[] = [multiaddr];
  const listeners = new Set<() => void>();
  const self: SelfDescription = {
    peerId,
    multiaddrs: () => multiaddrs,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    sign: async (bytes) => privateKey.sign(bytes),
  };
  const failure = Promise.withResolvers<unknown>();
  return {
    peerId,
    multiaddr,
    clock,
    discovery,
    self,
    warnings,
    failure: failure.promise,
    find: (wanted) => discovery.find(wanted, new AbortController().signal),
    advertise() {
      tasks.nursery.startSoon(async () => {
        try {
          await discovery.advertise?.(self);
        } catch (error) {
          if (isCancelled(error)) throw error;
          failure.resolve(error);
        }
      });
    },
    move(next) {
      multiaddrs = next;
      for (const listener of listeners) listener();
    },
    [Symbol.asyncDispose]: () => tasks.close(),
  };
}

/** Lets time pass until `condition` holds, but not while a request is under way. */
export async function passTime(
  github: GithubServer,
  clock: TestClock,
  condition: () => boolean,
  stepMs = 250,
): Promise<void> {
  while (!condition()) {
    await new Promise<void>((resolve) => setTimeout(resolve, REQUEST_BEGINS_MS));
    if (github.isIdle && !condition()) clock.jump(stepMs);
  }
}

function textOf(facts: object, text: string): string {
  const reason = "err" in facts && facts.err instanceof Error ? `: ${facts.err.message}` : "";
  return text + reason;
}
